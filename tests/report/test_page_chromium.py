"""The compare page in headless Chromium: it shows what the linear light says, and its controls work."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from luxscaler.color import Floats, encode_srgb
from luxscaler.io.sdr import tone_map
from luxscaler.picture import FloatArray, Picture
from luxscaler.report.page import Report, TileFigure, write_report
from tests.io.test_chromium import CHROMIUM, FLAGS
from tests.report.test_page import make_report

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt-get install chromium)"),
]
BEFORE = ((0.02, 0.05, 0.3), (0.15, 0.02, 0.02))
AFTER = ((0.05, 0.6, 0.4), (3.0, 1.2, 0.4))
"""Upper and lower half of a picture, linear; after has light above white."""
TILE = TileFigure(0, (0.0, 0.0, 1.0, 1.0), 3.14, 2, 0.0011)


def _chromium(page: Path, state: str, *flags: str, size: tuple[int, int] = (1000, 900)) -> list[str]:
    """The lines that the page's console got."""
    assert CHROMIUM
    command = [
        CHROMIUM,
        *FLAGS,
        "--enable-logging=stderr",
        # Clocks run as fast as the page has work: it is shown once its previews are unpacked.
        "--virtual-time-budget=10000",
        f"--user-data-dir={page.parent / 'profile'}",
        f"--window-size={size[0]},{size[1]}",
        *flags,
        f"{page.as_uri()}{state}",
    ]
    done = subprocess.run(command, check=True, capture_output=True, timeout=120, text=True)
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def _shot(page: Path, state: str, size: tuple[int, int] = (1000, 900)) -> NDArray[np.float64]:
    """Screenshot: height × width × 3, sRGB codes 0 to 255. Nothing may have been said on the console."""
    file = page.with_suffix(".png")
    console = _chromium(page, state, f"--screenshot={file}", size=size)
    assert console == []
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB")).astype(np.float64)


def _halves(colors: tuple[tuple[float, ...], ...], height: int, width: int) -> FloatArray:
    rows = np.array(colors, np.float32).repeat(height // 2, axis=0)
    return np.ascontiguousarray(np.broadcast_to(rows[:, None], (height, width, 3)))


def _codes(linear: object, exposure: float) -> Floats:
    exposed = np.clip(np.asarray(linear, np.float64) * 2**exposure, 0, 1)
    return encode_srgb(exposed) * 255


@pytest.fixture(scope="module")
def flat_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = tmp_path_factory.mktemp("flat") / "a #page?.html"
    before, after = Picture(_halves(BEFORE, 40, 60)), Picture(_halves(AFTER, 160, 240))
    write_report(page, Report("flat", before, after, (), (TILE,), estimated_range=True))
    return page


@pytest.mark.parametrize(("exposure", "split"), [(0, 0.5), (-2, 0.3), (1.25, 0.8)])
def test_the_address_sets_exposure_and_border(flat_page: Path, exposure: float, split: float) -> None:
    shot = _shot(flat_page, f"#tone=0&exposure={exposure}&split={split}")
    for half in (0, 1):
        found = {
            side: int((np.abs(shot - _codes(colors[half], exposure)).max(axis=2) <= 1.5).sum())
            for side, colors in (("before", BEFORE), ("after", AFTER))
        }
        total = sum(found.values())
        assert total > 100_000
        assert found["before"] / total == pytest.approx(split, abs=0.03)


def test_it_opens_tone_mapped(flat_page: Path) -> None:
    """Light above white is rolled off as PNG shows it; what is below the knee and the SDR side stay."""
    shot = _shot(flat_page, "")
    peak = 3.0
    for colors, mapped in ((AFTER, True), (BEFORE, False)):
        light = np.asarray(colors, np.float64)[None]
        wanted = _codes(tone_map(light, peak) if mapped else light, 0)[0]
        for half in (0, 1):
            assert int((np.abs(shot - wanted[half]).max(axis=2) <= 1.5).sum()) > 2000
    clipped = _codes(AFTER[1], 0)
    assert int((np.abs(shot - clipped).max(axis=2) <= 1.5).sum()) == 0


def test_noise_keeps_its_mean(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    after = (rng.random((300, 400, 3)) ** 3 * (4, 1.5, 0.6)).astype(np.float32)
    page = tmp_path / "page.html"
    write_report(page, Report("noise", Picture(after[::2, ::2]), Picture(after), ()))
    for exposure in (0, -3):
        shot = _shot(page, f"#tone=0&exposure={exposure}&split=0&full=1", (1000, 800))
        inside = shot[80:600, 200:800].reshape(-1, 3)
        np.testing.assert_allclose(inside.mean(axis=0), _codes(after, exposure).mean((0, 1)), atol=1.5)


def test_transparent_pixels_show_the_checkerboard(tmp_path: Path) -> None:
    rgb = np.full((200, 300, 3), (0.1, 0.5, 0.1), np.float32)
    page = tmp_path / "page.html"
    write_report(page, Report("x", Picture(rgb), Picture(rgb, np.full((200, 300), 0.5, np.float32)), ()))
    shot = _shot(page, "#split=0")
    for grey in (0x77, 0x99):
        mixed = (_codes((0.1, 0.5, 0.1), 0) + grey) / 2
        assert (np.abs(shot - mixed).max(axis=2) <= 2).sum() > 30_000


@pytest.mark.parametrize("size", [(1400, 900), (500, 844)])
def test_a_page_with_everything_is_shown_without_a_word_on_the_console(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    page = tmp_path / "page.html"
    write_report(page, make_report("</script><img src=x onerror=console.error(1)>"))
    shot = _shot(page, "#grid=1&tile=2&zoom=2&x=0.2", size)
    assert shot.std() > 20


SCRIPT = """
<script>
// Headless Chromium with a clock of its own draws one frame, at the end.
requestAnimationFrame = (act) => setTimeout(act, 16);
const key = (target, name) => target.dispatchEvent(
  new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
const input = (id, value) => {
  $(id).value = value;
  $(id).dispatchEvent(new Event("input"));
};
const frame = stage.getBoundingClientRect(), corner = { clientX: frame.left + 10, clientY: frame.top + 10 };
const STEPS = {
  border: () => [key(handle, "ArrowRight"), key(handle, "ArrowRight")],
  plus: () => key(stage, "+"),
  fit: () => key(stage, "0"),
  wheel: () => stage.dispatchEvent(new WheelEvent("wheel", { deltaY: -500, cancelable: true, ...corner })),
  exposure: () => input("exposure", -1.5),
  address: () => { location.hash = ""; },
  tile: () => [$("grid").click(), input("tile", 1)],
  tip: () => stage.dispatchEvent(new PointerEvent("pointermove", { clientX: 400, clientY: 300 })),
  highlights: () => $("highlights").click(),
};
const pause = (time) => new Promise((done) => setTimeout(done, time));
(async () => {
  while (!("ready" in document.documentElement.dataset)) await pause(20);
  for (const [name, act] of Object.entries(STEPS)) {
    act();
    await pause(400);
    const texts = ["zoom-shown", "exposure-shown", "tile-shown", "tip"].map((id) => $(id).textContent);
    console.log(`${name}:${handle.getAttribute("aria-valuenow")}|${texts.join("|")}|${location.hash}:`);
  }
})();
</script></body>"""


def test_keys_wheel_and_controls(flat_page: Path, tmp_path: Path) -> None:
    text = flat_page.read_text(encoding="utf-8")
    page = tmp_path / "page.html"
    # The page's policy would refuse the test's script, as it should.
    page.write_text(re.sub(r"<meta http-equiv=[^>]*>", "", text).replace("</body>", SCRIPT), encoding="utf-8")
    console = _chromium(page, "", f"--screenshot={tmp_path / 'shot.png'}")
    said = dict(re.findall(r'CONSOLE:\d+\] "(\w+):(.*):"', "\n".join(console)))
    assert len(said) == len(console)
    assert said["border"] == "54|× 1|0 stops|of 1||#split=0.54"
    assert said["plus"] == "54|× 1.3|0 stops|of 1||#split=0.54&zoom=1.25"
    assert said["fit"] == "54|× 1|0 stops|of 1||#split=0.54"
    # The corner that the pointer is at stays: the view moved up and left.
    zoom, x, y = (float(part) for part in re.findall(r"(?<=[mxy]=)[\d.]+", said["wheel"]))
    assert zoom == pytest.approx(np.e, abs=0.01)
    assert max(x, y) < 0.25
    assert "|−1.5 stops|" in said["exposure"]
    assert said["address"] == "50|× 1|0 stops|of 1||"
    facts = "3.1 s · 2 attempts · $0.0011"
    assert said["tile"] == f"50|× 1|0 stops|of 1 · {facts}||#grid=1&tile=1"
    assert said["tip"] == f"50|× 1|0 stops|of 1 · {facts}|Tile 1 · {facts}|#grid=1&tile=1"
    assert "|−1.75 stops|" in said["highlights"]  # the brightest channel is at 3: 1.58 stops


@pytest.mark.parametrize(("screen", "display"), [("hdr10", "block"), ("srgb", "none")])
def test_a_screen_with_hdr_is_told_what_it_sees(
    flat_page: Path, tmp_path: Path, screen: str, display: str
) -> None:
    script = "console.log(`hint:${getComputedStyle($('hdr-hint')).display}:`)"
    text = re.sub(r"<meta http-equiv=[^>]*>", "", flat_page.read_text(encoding="utf-8"))
    page = tmp_path / "page.html"
    page.write_text(text.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    shot = f"--screenshot={tmp_path / 'shot.png'}"
    assert f"hint:{display}:" in "".join(_chromium(page, "", shot, f"--force-color-profile={screen}"))
