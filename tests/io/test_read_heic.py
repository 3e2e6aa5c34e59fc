"""HEIC by pillow-heif, whose encoder makes the files: lossless, so that the pixels are known."""

import sys
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from luxscaler.color import decode_pq
from luxscaler.errors import PictureError, PictureTooLargeError
from luxscaler.io.read import read_header, read_picture
from luxscaler.isolation.pool import read_picture_isolated
from tests.support.picture_files import P3, box, exif, noise, pillow, rgb_profile, srgb

pillow_heif = pytest.importorskip("pillow_heif")


def heic(array: NDArray[Any], bits: int = 8, *, rgb: bool = True, **options: Any) -> bytes:
    """Lossless; array: (height, width[, channels]) with values of `bits`, 8, 10 or 12."""
    names = {0: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
    mode = names[array.shape[2] if array.ndim == 3 else 0] + ("" if bits == 8 else ";16")
    samples = array if bits == 8 else array.astype(np.uint16) << (16 - bits)
    pillow_heif.options.SAVE_HDR_TO_12_BIT = bits == 12
    picture = pillow_heif.from_bytes(mode, array.shape[1::-1], np.ascontiguousarray(samples).tobytes())
    file = BytesIO()
    matrix = {"matrix_coefficients": 0} if rgb else {}
    picture.save(file, quality=-1, chroma=444, **matrix, **options)
    return file.getvalue()


@pytest.mark.sample(3)
@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("channels", [0, 3, 4])
def test_every_bit_is_kept(bits: int, channels: int) -> None:
    stored = noise(channels=channels, bits=16 if bits > 8 else 8) >> (16 - bits if bits > 8 else 0)
    data = heic(stored, bits, rgb=channels > 0)
    picture, header = read_picture(data), read_header(data)
    color = stored[..., None] if channels == 0 else stored[..., :3]
    top = 2**bits - 1
    np.testing.assert_allclose(picture.rgb, np.broadcast_to(srgb(color / top), picture.rgb.shape), rtol=3e-7)
    assert (header.format, header.bits, header.width, header.height) == ("heic", bits, 32, 24)
    assert header.channels == max(channels, 1)
    assert (picture.alpha is not None) == header.has_alpha == (channels == 4)
    if picture.alpha is not None:
        np.testing.assert_allclose(picture.alpha, stored[..., 3] / top, rtol=1e-6)
    isolated = read_picture_isolated(data)
    np.testing.assert_array_equal(isolated.rgb, picture.rgb)
    assert isolated.source == picture.source


def test_the_usual_lossy_file_is_close() -> None:
    flat = np.full((64, 64, 3), (200, 120, 40), np.uint8)
    file = BytesIO()
    pillow_heif.from_bytes("RGB", (64, 64), flat.tobytes()).save(file, quality=90)
    np.testing.assert_allclose(read_picture(file.getvalue()).rgb, srgb(flat / 255), atol=0.02)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_picture_is_turned_once(orientation: int) -> None:
    """The file says it twice, as those of phones: irot and imir, and EXIF."""
    stored = noise()
    data = heic(stored, exif=exif(orientation))
    expected = read_picture(pillow(stored, "PNG", exif=exif(orientation))).rgb
    picture = read_picture(data)
    np.testing.assert_array_equal(picture.rgb, expected)
    header = read_header(data)
    assert (header.height, header.width) == expected.shape[:2]
    assert picture.source.notices == ()


def test_profiles_win_over_code_points() -> None:
    stored = noise()
    profile = rgb_profile(P3)
    data = heic(stored, icc_profile=profile)
    picture = read_picture(data)
    assert picture.source.color_space.startswith("ICC: ")
    np.testing.assert_array_equal(picture.rgb, read_picture(pillow(stored, "PNG", icc_profile=profile)).rgb)


def test_hdr_by_code_points() -> None:
    stored = noise(bits=16) >> 6
    data = heic(stored, 10, color_primaries=1, transfer_characteristics=16)
    picture = read_picture(data)
    assert picture.source.color_space == "cICP 1/16"
    np.testing.assert_allclose(picture.rgb, decode_pq(stored / 1023), rtol=1e-5)


def test_exif_is_inherited_without_the_orientation() -> None:
    block = Image.Exif()
    block[274], block[315], block[282], block[283], block[296] = 6, "me", 300.0, 200.0, 2
    source = read_picture(heic(noise(), exif=block.tobytes())).source
    read = Image.Exif()
    read.load(b"Exif\0\0" + (source.exif or b""))
    assert dict(read) == {315: "me"}
    assert read_picture(heic(noise(), exif=b"Exif\0\0II*\0\xff")).source.notices == (
        "the EXIF data is malformed and was not kept",
    )


def test_of_several_pictures_the_main_one_is_read() -> None:
    pictures = [noise(seed=seed) for seed in (1, 2)]
    both = pillow_heif.from_bytes("RGB", (32, 24), pictures[0].tobytes())
    both.add_frombytes("RGB", (32, 24), pictures[1].tobytes())
    file = BytesIO()
    both.save(file, quality=-1, chroma=444, matrix_coefficients=0, primary_index=1)
    picture = read_picture(file.getvalue())
    np.testing.assert_allclose(picture.rgb, srgb(pictures[1] / 255), rtol=3e-7)
    assert picture.source.notices == ("the main one of 2 pictures is read",)


def test_without_the_extra_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    data = heic(noise())
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PictureError, match=r"is HEIC; reading that needs an extra: .*'luxscaler\[heif\]'"):
        read_picture(data)


@pytest.mark.slow
def test_damage_and_size_are_clear_errors() -> None:
    data = heic(noise())
    with pytest.raises(PictureTooLargeError, match=r"768 pixels \(32 × 24\), the limit is 700"):
        read_picture(data, max_pixels=700)
    for length in range(24, len(data), 401):
        with pytest.raises(PictureError):
            read_picture_isolated(data[:length])


def test_a_sequence_without_a_still_picture_is_named() -> None:
    data = box(b"ftyp", b"msf1\0\0\0\0msf1hevc") + box(b"moov", bytes(40)) + box(b"mdat", bytes(40))
    with pytest.raises(PictureError, match="is a HEIF image sequence without a still picture"):
        read_picture(data)
