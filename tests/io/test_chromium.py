"""What a browser shows of the HDR files: headless Chromium's screenshots, compared with that of the SDR PNG.

The headless display is an SDR one. Light up to SDR white is to look as in the SDR picture there: neither
washed out, as PQ codes taken for sRGB are, nor darkened to make room for highlights that it does not have.
"""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from luxscaler.color import decode_srgb
from luxscaler.io.formats import suffix_of
from luxscaler.io.write import export
from tests.conftest import SAMPLE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def scene() -> NDArray[np.float32]:
    """The sample photograph in linear light; its largest value is SDR white."""
    with Image.open(SAMPLE / "tile.png") as image:
        coded = np.asarray(image.convert("RGB")).astype(np.float32) / 255
    return np.asarray(decode_srgb(coded), np.float32)


def _shown(scene: NDArray[np.float32], name: str, folder: Path) -> NDArray[np.float64]:
    """Screenshot of a page that holds the file and nothing else: height × width × 3, sRGB codes 0 to 255."""
    height, width = scene.shape[:2]
    folder.mkdir()
    file = folder / f"picture{suffix_of(name)}"
    export(file, scene, file_format=name)
    page = folder / "page.html"
    page.write_text(f"<body style='margin:0;background:#f0f'><img src='{file.name}'></body>")
    assert CHROMIUM
    command = [
        CHROMIUM,
        *FLAGS,
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={width},{height}",
        f"--screenshot={folder / 'shot.png'}",
        page.as_uri(),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    with Image.open(folder / "shot.png") as image:
        shot = np.asarray(image.convert("RGB")).astype(np.float64)
    return shot[:height, :width]


@pytest.mark.parametrize(("name", "mean_error"), [("png-pq", 1.5), ("avif", 3.0), ("jpg", 3.0)])
def test_an_hdr_file_of_an_sdr_scene_looks_like_the_sdr_png(
    scene: NDArray[np.float32], tmp_path: Path, name: str, mean_error: float
) -> None:
    """Chromium's tone mapping varies by a code from version to version; faults are dozens of codes."""
    sdr = _shown(scene, "png", tmp_path / "sdr")
    assert sdr.std() > 20  # the picture is there
    hdr = _shown(scene, name, tmp_path / "hdr")
    assert np.abs(hdr - sdr).mean() < mean_error
    assert hdr.mean() == pytest.approx(sdr.mean(), abs=2)
    assert hdr.std() == pytest.approx(sdr.std(), rel=0.03)


@pytest.mark.parametrize("name", ["png-pq", "avif"])
def test_highlights_are_tone_mapped_not_lost(scene: NDArray[np.float32], tmp_path: Path, name: str) -> None:
    """The same scene two stops brighter than the display: there is structure in what exceeds SDR white."""
    hdr = _shown(scene * 4, name, tmp_path / "hdr")
    bright = (scene.max(axis=2) > 0.3) & (scene.max(axis=2) < 0.9)
    assert bright.mean() > 0.01
    levels = hdr.max(axis=2)[bright]
    correlation = np.corrcoef(levels, scene.max(axis=2)[bright])[0, 1]
    assert correlation > 0.7  # AVIF is lossy, pixel by pixel
    assert (hdr == 255).all(axis=2).mean() < 0.05
