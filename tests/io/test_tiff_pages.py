"""Which page of a TIFF is the picture, and what an undeclared fourth channel is; checked by tifffile."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from luxscaler.io.read import read_header, read_picture
from luxscaler.isolation.pool import decode_to_file
from tests.support.picture_files import noise, srgb, tiff

BIG, SMALL = noise(48, 40), noise(12, 10, seed=3)


def pages(*parts: tuple[NDArray[Any], dict[str, Any]]) -> bytes:
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for array, options in parts:
            writer.write(array, photometric="rgb", metadata=None, **options)
    return file.getvalue()


def read_both_ways(data: bytes, folder: Path) -> Any:
    """At once, and in bands; both must agree."""
    picture = read_picture(data)
    laid = decode_to_file(data, folder / "laid", max_pixels=10**7).whole()
    np.testing.assert_array_equal(laid.rgb, picture.rgb)
    assert (laid.alpha is None) == (picture.alpha is None)
    return picture


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    "kind", [{"subfiletype": 1}, {"subfiletype": 3}, {"extratags": [(255, 3, 1, 2, True)]}]
)
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}])
def test_a_thumbnail_before_the_picture_is_passed_over(
    kind: dict[str, Any], options: dict[str, Any], tmp_path: Path
) -> None:
    data = pages((SMALL, kind), (BIG, {**options, "resolution": (300, 300), "resolutionunit": 2}))
    picture, header = read_both_ways(data, tmp_path), read_header(data)
    assert (header.width, header.height) == (40, 48)
    np.testing.assert_allclose(picture.rgb, srgb(BIG / 255), rtol=3e-7)
    assert picture.source.notices == ("page 2 is read: those before it are reduced copies or masks",)
    assert picture.source.resolution_dpi == (300, 300)
    np.testing.assert_array_equal(tifffile.imread(BytesIO(data), key=1), BIG)


def test_the_first_page_counts_where_all_are_reduced_or_none_is(tmp_path: Path) -> None:
    reduced = pages((SMALL, {"subfiletype": 1}), (BIG, {"subfiletype": 1}))
    assert read_header(reduced).width == 10
    plain = pages((SMALL, {}), (BIG, {}))
    (said,) = read_both_ways(plain, tmp_path).source.notices
    assert said.startswith("the first of several pages is read")
    assert read_header(plain).width == 10


def cutout(height: int = 48, width: int = 40) -> NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(y - height / 2, x - width / 2)
    return np.asarray(np.rint(np.clip(16 - distance, 0, 1) * 255), np.uint8)


def undeclared(array: NDArray[Any], **options: Any) -> bytes:
    """Four samples a pixel of which no tag says what the last one is."""
    data = tiff(array, photometric="rgb", extrasamples=["unspecified"], **options)
    page = tifffile.TiffFile(BytesIO(data)).pages.first
    assert page.samplesperpixel == 4
    assert page.extrasamples == (0,)
    return data


@pytest.mark.parametrize("options", [{}, {"tile": (16, 16)}, {"rowsperstrip": 5, "compression": "lzw"}])
def test_an_undeclared_cutout_is_straight_alpha(options: dict[str, Any], tmp_path: Path) -> None:
    data = undeclared(np.dstack([BIG, cutout()]), **options)
    picture = read_both_ways(data, tmp_path)
    assert picture.alpha is not None
    np.testing.assert_allclose(picture.alpha, cutout() / 255, rtol=1e-6)
    np.testing.assert_allclose(picture.rgb, srgb(BIG / 255), rtol=3e-7)
    assert picture.source.notices == (
        "the extra channel has no declared meaning; it is read as straight alpha",
    )
    assert read_header(data).has_alpha


def test_undeclared_premultiplied_colour_is_associated(tmp_path: Path) -> None:
    y, x = np.mgrid[:48, :40].astype(np.float32)
    alpha = np.clip(1.4 - np.hypot(y - 24, x - 20) / 20, 0, 1).astype(np.float32)
    color = np.full((48, 40, 3), (0.5, 0.25, 0.75), np.float32)
    data = undeclared(np.dstack([color * alpha[..., None], alpha]))
    picture = read_both_ways(data, tmp_path)
    np.testing.assert_array_equal(picture.alpha, alpha)
    np.testing.assert_allclose(picture.rgb[alpha > 0], color[alpha > 0], rtol=1e-6)
    assert not picture.source.has_light_apart


@pytest.mark.parametrize(
    "extra", [noise(48, 40, 0), np.zeros((48, 40), np.uint8), np.full((48, 40), 90, np.uint8)]
)
def test_a_channel_that_may_be_anything_is_left_out(extra: NDArray[np.uint8], tmp_path: Path) -> None:
    picture = read_both_ways(undeclared(np.dstack([BIG, extra])), tmp_path)
    assert picture.alpha is None
    assert picture.source.notices == ("ignored: 1 extra channel",)


@pytest.mark.sample(2)
@pytest.mark.parametrize("compression", ["zstd", "lzma", "jpegxl", "jpeg2000", "lerc", "webp", "png"])
def test_rare_compressions_come_in_bands_too(compression: str, tmp_path: Path) -> None:
    options = {"compressionargs": {"lossless": True}} if compression in ("webp", "jpegxl") else {}
    data = tiff(BIG, photometric="rgb", compression=compression, **options)
    np.testing.assert_allclose(read_both_ways(data, tmp_path).rgb, srgb(BIG / 255), rtol=3e-7)


def test_has_light_apart_is_of_associated_colour_only() -> None:
    data = tiff(
        np.dstack([BIG, np.zeros((48, 40), np.uint8)]), photometric="rgb", extrasamples=["unassalpha"]
    )
    assert not read_picture(data).source.has_light_apart


@pytest.mark.parametrize("options", [{}, {"compression": "zlib", "tile": (16, 16)}])
def test_a_picture_below_its_thumbnail_is_read(options: dict[str, Any], tmp_path: Path) -> None:
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        turned: list[Any] = [(274, 3, 1, 6, True), (271, 2, None, "Sinar", True)]
        writer.write(
            SMALL, photometric="rgb", subfiletype=1, subifds=2, extratags=turned, resolution=(300, 300)
        )
        writer.write(SMALL, photometric="rgb", subfiletype=1)
        writer.write(BIG, photometric="rgb", subfiletype=0, **options)
    picture = read_both_ways(file.getvalue(), tmp_path)
    np.testing.assert_allclose(picture.rgb, srgb(np.rot90(BIG, -1) / 255), rtol=3e-7)
    assert picture.source.notices == (
        "page 1 is a reduced copy; the picture in a directory below it is read",
    )
    assert picture.source.resolution_dpi == (300, 300)
    assert b"Sinar" in picture.source.exif


def test_reduced_copies_below_a_picture_are_passed_over(tmp_path: Path) -> None:
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(BIG, photometric="rgb", subifds=1)
        writer.write(SMALL, photometric="rgb", subfiletype=1)
    picture = read_both_ways(file.getvalue(), tmp_path)
    np.testing.assert_allclose(picture.rgb, srgb(BIG / 255), rtol=3e-7)
    assert not picture.source.notices


def test_a_thumbnail_that_nothing_marks_is_told(tmp_path: Path) -> None:
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(SMALL, photometric="rgb")
        writer.write(BIG, photometric="rgb")
    (said,) = read_both_ways(file.getvalue(), tmp_path).source.notices
    sizes = [f"{size.shape[1]} × {size.shape[0]}" for size in (SMALL, BIG)]
    assert said == (
        f"the first of several pages is read, of {sizes[0]}; the second has {sizes[1]}, "
        "so the first may be a thumbnail"
    )


@pytest.mark.parametrize("meanings", [(0, 2), (0, 1), (0, 0, 2), (2, 0), (2, 1)])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_declared_alpha_is_found_behind_other_channels(
    meanings: tuple[int, ...], planar: Any, tmp_path: Path
) -> None:
    codes = noise(20, 30, 3 + len(meanings))
    place = 3 + next(at for at, meaning in enumerate(meanings) if meaning)
    if meanings[place - 3] == 1:
        codes[..., :3] = np.minimum(codes[..., :3], codes[..., place : place + 1])
    stored = codes if planar == "contig" else np.moveaxis(codes, -1, 0)
    data = tiff(stored, photometric="rgb", extrasamples=meanings, planarconfig=planar)
    picture = read_picture(data)
    alpha = codes[..., place] / 255
    assert picture.alpha is not None
    np.testing.assert_allclose(picture.alpha, alpha, atol=1e-6)
    shown = np.where(alpha > 0, alpha, 1)[..., None] if meanings[place - 3] == 1 else 1
    np.testing.assert_allclose(picture.rgb, srgb(codes[..., :3] / 255 / shown), atol=1e-6)
    assert picture.source.notices == (
        f"ignored: {len(meanings) - 1} extra channel{'s' * (len(meanings) > 2)}",
    )
    laid = decode_to_file(data, tmp_path / "laid", max_pixels=10**6).whole()
    np.testing.assert_array_equal(laid.alpha, picture.alpha)
