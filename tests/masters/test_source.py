"""The picture of a master: laid out once, averaged for the reference, sampled for the tone statistics."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luxscaler.errors import PictureError
from luxscaler.io.read import read_picture
from luxscaler.isolation.linear_file import LinearFile
from luxscaler.masters import source as source_module
from luxscaler.masters.job import Job
from luxscaler.masters.source import digest_of, lay_out
from luxscaler.picture import FloatArray, Picture
from luxscaler.tiling import overview
from luxscaler.tiling.overview import reduced, sample
from tests.isolation.test_linear_file import laid_out as linear_file
from tests.isolation.test_linear_file import same
from tests.masters.test_observer import area_means
from tests.support.examples import examples
from tests.support.picture_files import exif, noise, pillow, png

RGBA = noise(40, 50, 4)
seldom = settings(max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture])


def a_linear_file(folder: Path, height: int = 40, width: int = 50, *, alpha: bool = True) -> LinearFile:
    return linear_file(png(noise(height, width, 4 if alpha else 3)), folder)


def touched_means(array: FloatArray, size: tuple[int, int]) -> FloatArray:
    """(H, W, C): every cell the mean of the pixels that it touches, in float64."""
    for axis, cells in enumerate(size):
        length = array.shape[axis]
        parts = [
            array.take(range(i * length // cells, -(-(i + 1) * length // cells)), axis).mean(axis, np.float64)
            for i in range(cells)
        ]
        array = np.stack(parts, axis)
    return array


@seldom
@given(
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    most=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    at_once=st.sampled_from([1, 2, 7, 1000]),
    alpha=st.booleans(),
)
def test_the_reference_is_the_mean_of_what_its_pixels_touch(
    size: tuple[int, int], most: tuple[int, int], at_once: int, alpha: bool, tmp_path: Path
) -> None:
    """at_once: rows that are read at once."""
    laid = a_linear_file(tmp_path, *size, alpha=alpha)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overview, "_BAND_BYTES", at_once * size[1] * 16)
        whole, small = laid.whole(), reduced(laid, *most)
    cells = (min(size[0], most[0]), min(size[1], most[1]))
    assert (small.height, small.width) == cells
    if cells == size:
        same(small, whole)
    elif whole.alpha is None or small.alpha is None:
        np.testing.assert_allclose(small.rgb, touched_means(whole.rgb, cells), rtol=1e-5, atol=1e-6)
    else:
        visible = touched_means(whole.rgb * whole.alpha[..., None], cells)
        np.testing.assert_allclose(small.rgb * small.alpha[..., None], visible, rtol=1e-5, atol=1e-6)
        means = touched_means(whole.alpha[..., None], cells)[..., 0]
        np.testing.assert_allclose(small.alpha, means, rtol=1e-5, atol=1e-6)


def test_the_reference_of_even_parts_is_that_of_areas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "_BAND_BYTES", 50 * 16 * 3)  # three rows
    laid = a_linear_file(tmp_path, alpha=False)
    np.testing.assert_allclose(reduced(laid, 4, 5).rgb, area_means(laid.whole().rgb, (4, 5)), rtol=1e-5)


@seldom
@given(height=st.integers(1, 60), width=st.integers(1, 60), pixels=st.integers(1, 800), alpha=st.booleans())
def test_the_sample_has_pixels_of_the_picture_and_no_more_than_asked(
    height: int, width: int, pixels: int, alpha: bool, tmp_path: Path
) -> None:
    laid = a_linear_file(tmp_path, height, width, alpha=alpha)
    whole, some = laid.whole(), sample(laid, pixels)
    assert 1 <= some.height * some.width <= pixels
    known = {colour.tobytes() for colour in whole.rgb.reshape(-1, 3)}
    assert {colour.tobytes() for colour in some.rgb.reshape(-1, 3)} <= known
    assert (some.alpha is None) == (not alpha)


def test_the_sample_is_every_nth_pixel_from_the_middle(tmp_path: Path) -> None:
    laid = a_linear_file(tmp_path)
    whole, some = laid.whole(), sample(laid, 2000 // 9)
    np.testing.assert_array_equal(some.rgb, whole.rgb[2::4, 2::4])
    assert whole.alpha is not None
    np.testing.assert_array_equal(some.alpha, whole.alpha[2::4, 2::4])


def test_bytes_and_their_file_have_one_digest(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4's example
    assert digest_of(b"abc") == digest_of(tmp_path / "a") == digest_of(str(tmp_path / "a")) == known


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    for path, reason in ((tmp_path, "Is a directory"), (tmp_path / "none", "No such file or directory")):
        with pytest.raises(PictureError, match=f"^'.*' cannot be opened: {reason}$"):
            digest_of(path)


def laid_out(data: bytes | Picture, job: Job) -> LinearFile:
    return lay_out(data, job, max_pixels=10**6, limits=None)


@pytest.mark.parametrize("data", [pillow(RGBA, "PNG", exif=exif(6), dpi=(300, 150)), png(noise(9, 7))])
def test_the_second_run_of_a_job_does_not_decode_again(
    data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(tmp_path / "a.job", {})
    first = laid_out(data, job)
    job.close()

    def fail(*_: Any, **__: Any) -> LinearFile:
        raise AssertionError("decoded again")

    monkeypatch.setattr(source_module, "decode_to_file", fail)
    job = Job(tmp_path / "a.job", {})
    assert laid_out(data, job) == first
    same(first.whole(), read_picture(data))
    job.close()


def test_tiles_do_not_wait_until_the_picture_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the job does not say that it is there before."""
    written, job = threading.Event(), Job(tmp_path / "a.job", {})
    monkeypatch.setattr(source_module, "_to_disk", lambda _path: written.wait(20))
    laid = laid_out(png(RGBA), job)
    assert laid.whole().height == 40
    assert job.recall("spool") is None
    written.set()
    job.close()
    job = Job(tmp_path / "a.job", {})
    assert job.recall("spool") is not None
    job.close()


def test_a_picture_that_did_not_come_to_the_disk_is_decoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(source_module, "_to_disk", fail)
    job = Job(tmp_path / "a.job", {})
    laid_out(png(RGBA), job)
    job.close()
    job = Job(tmp_path / "a.job", {})
    assert job.recall("spool") is None
    job.close()


@pytest.mark.parametrize("harm", ["lost", "cut off"])
def test_a_linear_file_that_is_not_whole_is_made_again(harm: str, tmp_path: Path) -> None:
    job, data = Job(tmp_path / "a.job", {}), png(RGBA)
    laid_out(data, job)
    if harm == "lost":
        job.linear_path.unlink()
    else:
        job.linear_path.write_bytes(job.linear_path.read_bytes()[:1000])
    same(laid_out(data, job).whole(), read_picture(data))
    job.close()


def test_a_picture_in_memory_is_laid_out_as_its_file_would_be(tmp_path: Path) -> None:
    for number, data in enumerate((png(RGBA), png(noise(9, 7)))):
        job = Job(tmp_path / f"{number}.job", {})
        picture = read_picture(data)
        same(laid_out(picture, job).whole(), picture)
        assert digest_of(picture) == digest_of(read_picture(data)) != digest_of(data)
        job.close()
