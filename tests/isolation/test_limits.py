"""What a small file may cost: pixels, pixels a byte, scans, seconds, memory of one decode and of all."""

import threading
import time
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from luxscaler.errors import InputError, PictureError, PictureTooLargeError
from luxscaler.io.limits import FREE_PIXELS
from luxscaler.io.read import read_picture
from luxscaler.isolation.memory import Budget, default_total
from luxscaler.isolation.pool import (
    IS_AVAILABLE,
    DecoderPool,
    decode_to_file,
    read_header_isolated,
    read_picture_isolated,
)
from luxscaler.options import DEFAULT_MAX_PIXELS, DecodeLimits
from tests.io.test_read_errors import FILES
from tests.support.picture_files import jxl, noise, pillow, png

pytestmark = pytest.mark.skipif(not IS_AVAILABLE, reason="isolation needs Linux")

SIDE = 12_000


def flat(kind: str) -> bytes:
    """A picture of SIDE² of one colour, in a file of kilobytes."""
    if kind == "jxl":
        return jxl(np.zeros((SIDE, SIDE), np.uint8), effort=1)
    return pillow(Image.new("L", (SIDE, SIDE)), kind.upper())


@pytest.fixture(scope="module")
def small_and_huge() -> bytes:
    """Two bytes of pixels behind a header of a gigantic GIF."""
    data = bytearray(pillow(noise(8, 8), "GIF"))
    data[6:10] = SIDE.to_bytes(2, "little") * 2
    at = data.index(b"\x2c", 13)
    data[at + 5 : at + 9] = SIDE.to_bytes(2, "little") * 2
    return bytes(data)


def test_a_kilobyte_cannot_claim_a_picture_of_megapixels(small_and_huge: bytes, tmp_path: Any) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(small_and_huge)
    start = time.monotonic()
    for read in (
        lambda: read_picture(path),
        lambda: read_picture_isolated(path),
        lambda: decode_to_file(path, tmp_path / "linear", max_pixels=10**9),
    ):
        with pytest.raises(PictureTooLargeError) as caught:
            read()
        most = FREE_PIXELS + 1000 * len(small_and_huge)
        assert str(caught.value) == (
            f"a.gif has 144,000,000 pixels (12000 × 12000) in {len(small_and_huge):,} bytes, "
            f"the limit is {most:,}: 33,554,432 and 1000 a byte (pixels_per_byte)"
        )
    assert time.monotonic() - start < 25


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["jxl", "avif", "webp", "jpeg", "gif"])
def test_flat_pictures_are_refused_unless_the_caller_allows_them(kind: str) -> None:
    data = flat(kind) if kind != "webp" else pillow(noise(8, 8), "WEBP", lossless=True)
    if kind in ("jxl", "avif"):
        with pytest.raises(PictureTooLargeError, match="pixels_per_byte"):
            read_picture_isolated(data)
        assert len(data) < 110_000
    assert read_header_isolated(data).width in (SIDE, 8)


@pytest.mark.slow
def test_plausible_pictures_are_not_refused() -> None:
    blank = pillow(Image.new("1", (5000, 6000), 1), "TIFF", compression="group4")
    assert read_header_isolated(blank).width == 5000
    assert read_picture_isolated(blank).width == 5000


def with_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is there `count` times."""
    data = pillow(noise(16, 16), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + b"\xff\xd9"


def test_scans_are_counted() -> None:
    with pytest.raises(PictureError, match=r"is a JPEG of 3,009 scans, the limit is 100 \(scans\)"):
        read_picture_isolated(with_scans(3000))
    assert read_picture_isolated(with_scans(3)).width == 16
    with pytest.raises(PictureError, match=r"the limit is 5 \(scans\)"):
        read_picture_isolated(with_scans(1), limits=DecodeLimits(scans=5))


@pytest.mark.sample(5)
@pytest.mark.parametrize("kind", FILES)
def test_headers_are_the_same_from_another_process(kind: str) -> None:
    from luxscaler.io.read import read_header

    assert read_header_isolated(FILES[kind]) == read_header(FILES[kind])


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    """Its processes have the bad decoder for BMP."""
    pool = DecoderPool(("tests.support.bad_decoders",))
    yield pool
    pool.close()


@pytest.mark.sample(1)
@pytest.mark.parametrize("word", ["header segv", "hang in header"])
def test_what_goes_wrong_in_a_header_is_one_line(pool: DecoderPool, word: str) -> None:
    with pytest.raises(PictureError) as caught:
        pool.read_header(b"BM" + word.encode(), DecodeLimits(seconds=0.2))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("the data cannot be read: ")
    assert pool.read_header(png(noise()), DecodeLimits()).width == 32


def test_decodes_share_their_memory() -> None:
    budget = Budget()
    order: list[str] = []
    with budget.share() as first:
        first.grow(60, 100, 1, "a")

        def second() -> None:
            with budget.share() as share:
                share.grow(50, 100, 10, "b")
                order.append("second")

        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(0.05)
        order.append("first")
        refused = pytest.raises(PictureError, match=r"c cannot be read: .* 0 MB .*\(total_memory_bytes\)")
        with budget.share() as third, refused:
            third.grow(50, 100, 0.02, "c")
    waiting.join(10)
    assert order == ["first", "second"]
    assert budget.held == 0
    with budget.share() as alone:  # one picture alone waits for nobody
        alone.grow(500, 100, 1, "d")


@pytest.mark.slow
def test_a_picture_waits_for_the_memory_of_another(pool: DecoderPool) -> None:
    limits = DecodeLimits(seconds=0.3, total_memory_bytes=600 * 2**20)
    data = png(noise())
    assert pool.read(data, DEFAULT_MAX_PIXELS, limits).width == 32
    with pool._memory.share() as other:
        other.grow(500 * 2**20, 2**40, 1, "another")
        with pytest.raises(PictureError, match=r"629 MB that all may take together"):
            pool.read(data, DEFAULT_MAX_PIXELS, limits)
    assert pool.read(data, DEFAULT_MAX_PIXELS, limits).width == 32


def test_all_together_is_also_the_most_for_one() -> None:
    with pytest.raises(PictureError, match="needed more than 2 MB"):
        read_picture_isolated(png(noise(600, 600)), limits=DecodeLimits(total_memory_bytes=2_000_000))


def test_the_default_is_a_part_of_the_machine() -> None:
    assert 2**28 < default_total() < 2**50


def test_limits_that_make_no_sense_are_named() -> None:
    for name in ("seconds", "memory_bytes", "total_memory_bytes", "pixels_per_byte", "scans"):
        with pytest.raises(InputError, match=f"above 0 and finite, got {name} -1"):
            DecodeLimits(**{name: -1})


@pytest.mark.slow
def test_a_gif_that_is_plausible_is_read() -> None:
    file = BytesIO()
    Image.fromarray(noise(40, 50)).save(file, "GIF")
    assert read_picture_isolated(file.getvalue()).width == 50
