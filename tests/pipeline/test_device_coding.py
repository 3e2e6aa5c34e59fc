"""What is coded on a device: the very codes of the writers, and a fraction of the bytes over the bus.

A processor stands for the device: the same operators run on either.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngInfo
from torch.utils._python_dispatch import TorchDispatchMode

from luxscaler.errors import ExportError
from luxscaler.io.exr.write import stored_samples
from luxscaler.io.formats import suffix_of
from luxscaler.io.frame import Frame
from luxscaler.io.options import ExportOptions
from luxscaler.io.sdr import encode_sdr
from luxscaler.io.write import CODED_TYPES, export_coded
from luxscaler.networks.rrdb import RRDBNet
from luxscaler.options import UpscalerOptions
from luxscaler.pipeline import light
from luxscaler.pipeline.device_coding import coded, is_coded
from luxscaler.pipeline.output import WHOLE_PIXELS
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.pipeline.stages import read_sources, render_sources, write_finished
from luxscaler.upscaling.upscaler import Upscaler
from tests.support.examples import examples
from tests.support.picture_files import noise, pillow

HALF = ExportOptions(exr_type="half")
FORMATS = ["webp", "png", "exr"]


def picture(height: int, width: int, peak: float, *, has_alpha: bool, seed: int) -> tuple[Any, Any]:
    """Light below 0, in the straight segment, above the knee and above the peak."""
    rng = np.random.default_rng(seed)
    rgb = (rng.random((height, width, 3)) ** 4 * 1.5 * peak - 0.02).astype(np.float32)
    alpha = rng.random((height, width)).astype(np.float32) if has_alpha else None
    return rgb, alpha


@given(
    st.sampled_from(FORMATS),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([0.6, 1.0, 1.3, 9.0, 70_000.0]),
    st.booleans(),
    st.integers(0, 99),
)
@settings(max_examples=examples(150))
def test_the_codes_are_those_of_the_writers(
    name: str, height: int, width: int, peak: float, has_alpha: bool, seed: int
) -> None:
    rgb, alpha = picture(height, width, peak, has_alpha=has_alpha, seed=seed)
    request = UpscaleRequest(b"", output_format=name, export=HALF)
    sdr_peak = max(peak, 1.0)
    frame = Frame(rgb, alpha, sdr_peak, HALF, {})
    expected = stored_samples(frame) if name == "exr" else encode_sdr(frame, CODED_TYPES[name])  # type: ignore[arg-type]
    found = coded(
        request, torch.from_numpy(rgb), None if alpha is None else torch.from_numpy(alpha), sdr_peak
    ).numpy()
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_all_codes_of_a_picture_of_many_bands_are_the_same() -> None:
    rgb, _ = picture(600, 500, 1.2, has_alpha=False, seed=5)
    for name in ("webp", "png"):
        found = coded(UpscaleRequest(b"", output_format=name), torch.from_numpy(rgb), None, 1.2).numpy()
        expected = encode_sdr(Frame(rgb, None, 1.2, ExportOptions(), {}), found.dtype)
        np.testing.assert_array_equal(found, expected)


def test_floats_and_pictures_that_are_written_in_rows_are_not_coded() -> None:
    for name, options, expected in [
        ("webp", ExportOptions(), True),
        ("exr", HALF, True),
        ("exr", ExportOptions(), False),
        ("tiff", HALF, False),
        ("avif", ExportOptions(), False),
        ("jpg", ExportOptions(), False),
    ]:
        assert is_coded(UpscaleRequest(b"", output_format=name, export=options), 100) == expected, name
    assert is_coded(UpscaleRequest(b""), WHOLE_PIXELS)
    assert not is_coded(UpscaleRequest(b""), WHOLE_PIXELS + 1)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("webp", np.zeros((2, 2, 3), np.uint16)),
        ("png", np.zeros((2, 2), np.uint16)),
        ("exr", np.zeros((0, 2, 3), np.float16)),
        ("tiff", np.zeros((2, 2, 3), np.float16)),
    ],
)
def test_samples_that_a_format_does_not_have_are_refused(
    name: str, array: NDArray[Any], tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=f"{name} has no samples that are"):
        export_coded(tmp_path / "a", array, file_format=name)
    assert list(tmp_path.iterdir()) == []


READ = {
    getattr(torch.ops.aten, name).default for name in ("item", "is_nonzero", "equal", "_local_scalar_dense")
}
"""What float(), bool() and their kin of a tensor become; `tolist` becomes a copy, which is not among them."""


class Waits(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the numbers that are read from tensors: on a device the processor waits for each."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func in READ
        return func(*args, **(kwargs or {}))


@pytest.fixture
def run(
    tiny_network: RRDBNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[bytes, int, int]]:
    """Upscales a tile, and counts: the file, bytes copied to the host, waits for the device."""
    upscaler = Upscaler(tiny_network, UpscalerOptions(device="cpu"))

    def walk(
        *, on_device: bool, alpha: bool = False, picture: bytes = b"", **inputs: Any
    ) -> tuple[bytes, int, int]:
        copied: list[int] = []

        def to_host(tensor: torch.Tensor) -> NDArray[Any]:
            copied.append(tensor.nbytes)
            return tensor.contiguous().numpy()

        monkeypatch.setattr(light, "to_host", to_host)
        monkeypatch.setattr(light, "codes_on", lambda _: on_device)
        path = tmp_path / f"out{suffix_of(inputs['output_format'])}"
        source = picture or pillow(noise(24, 20, 4 if alpha else 3), "PNG")
        sources = read_sources(UpscaleRequest(source, **inputs))  # on the processor, before the device's turn
        with Waits() as waits:
            finished = render_sources(sources, upscaler)
        write_finished(finished, path)
        return path.read_bytes(), sum(copied), waits.count

    return walk


@pytest.mark.sample(1)
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize(("name", "each"), [("webp", 1), ("png", 2), ("exr", 2)])
def test_the_file_is_the_same_and_fewer_bytes_come_over(
    run: Callable[..., tuple[bytes, int, int]], name: str, each: int, alpha: bool
) -> None:
    pixels, channels = 16 * 24 * 20, 4 if alpha else 3
    before = run(on_device=False, alpha=alpha, output_format=name, export=HALF)
    after = run(on_device=True, alpha=alpha, output_format=name, export=HALF)
    assert after[0] == before[0]
    assert before[1] == pixels * channels * 4
    assert after[1] == pixels * channels * each


@pytest.mark.parametrize("kind", ["grey", "with text"])
def test_what_the_writers_alone_know_is_kept(run: Callable[..., tuple[bytes, int, int]], kind: str) -> None:
    text = PngInfo()
    text.add_text("parameters", "a prompt")
    picture = (
        pillow(noise(24, 20)[..., 0], "PNG") if kind == "grey" else pillow(noise(24, 20), "PNG", pnginfo=text)
    )
    before = run(on_device=False, picture=picture, output_format="png")
    assert run(on_device=True, picture=picture, output_format="png")[0] == before[0]


def test_how_often_a_tile_waits_for_the_device(run: Callable[..., tuple[bytes, int, int]]) -> None:
    """The counts of docs/performance.md. The least of the light and the largest, whether all is finite; a
    processor asks besides whether any light is above 1. `fractality` asks up to 16 times a channel."""
    plain = run(on_device=True, output_format="webp", self_reference=False)[2]
    everything = run(on_device=True, output_format="exr", hdr_boost=1.5, fractality=1.2, export=HALF)[2]
    assert plain == 4
    assert everything - plain <= 3 * 16 + 20
