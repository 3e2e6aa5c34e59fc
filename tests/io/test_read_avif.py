"""AVIF as others lay it out: animations, a clean aperture, several ipma boxes."""

import struct
from collections.abc import Callable
from io import BytesIO

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from luxscaler.io.isobmff import boxes, iloc_body, item_places
from luxscaler.io.read import read_header, read_picture
from tests.support.picture_files import avif, box, exif, noise, srgb

SMOOTH = np.asarray(Image.fromarray(noise(5, 6)).resize((50, 40), Image.Resampling.BICUBIC))
STILL = avif(SMOOTH)


def with_properties(data: bytes, change: Callable[[list[tuple[bytes, bytes]]], bytes]) -> bytes:
    """A file whose iprp box holds what `change` makes of the boxes in it; pixels move along."""
    tops = list(boxes(data))
    meta = next(body for name, body in tops if name == b"meta")
    parts = [(name, change(list(boxes(part))) if name == b"iprp" else part) for name, part in boxes(meta[4:])]
    iloc = next(body for name, body in parts if name == b"iloc")
    places = {item: extents[0] for item, extents in item_places(iloc).items()}

    def made(moved: int) -> bytes:
        moved_iloc = iloc_body((item, at + moved, size) for item, (_, at, size) in places.items())
        return meta[:4] + b"".join(box(name, moved_iloc if name == b"iloc" else body) for name, body in parts)

    new = made(len(made(0)) - len(meta))
    return b"".join(box(name, new if name == b"meta" else body) for name, body in tops)


def of_item(ipma: bytes) -> tuple[int, bytes]:
    """Item number and entries of an ipma box of version 0 with one item."""
    item, count = struct.unpack_from(">HB", ipma, 8)
    return item, ipma[11 : 11 + count]


def ipma(item: int, entries: bytes, version: int = 0) -> bytes:
    head = bytes([version, 0, 0, 0])
    layout = ">IHB" if version == 0 else ">IIB"
    return box(b"ipma", head + struct.pack(layout, 1, item, len(entries)) + entries)


def cropped(left: int, top: int, width: int, height: int) -> bytes:
    """STILL with a clean aperture."""
    offsets = (2 * left + width - 50, 2, 2 * top + height - 40, 2)
    clap = box(b"clap", struct.pack(">4I", width, 1, height, 1) + struct.pack(">iIiI", *offsets))

    def change(parts: list[tuple[bytes, bytes]]) -> bytes:
        found = dict(parts)
        item, entries = of_item(found[b"ipma"])
        number = len(list(boxes(found[b"ipco"]))) + 1
        return box(b"ipco", found[b"ipco"] + clap) + ipma(item, entries + bytes([0x80 | number]))

    return with_properties(STILL, change)


@pytest.mark.parametrize("repeat", ["empty", "same", "split", "other version"])
def test_several_ipma_boxes_are_one(repeat: str) -> None:
    def change(parts: list[tuple[bytes, bytes]]) -> bytes:
        found = dict(parts)
        item, entries = of_item(found[b"ipma"])
        boxes_of = {
            "empty": box(b"ipma", found[b"ipma"]) + box(b"ipma", bytes(8)),
            "same": box(b"ipma", found[b"ipma"]) * 2,
            "split": ipma(item, entries[:2]) + ipma(item, entries[2:]),
            "other version": ipma(item, entries) + box(b"ipma", bytes([1, 0, 0, 0]) + bytes(4)),
        }
        return box(b"ipco", found[b"ipco"]) + boxes_of[repeat]

    picture = read_picture(with_properties(STILL, change))
    np.testing.assert_allclose(picture.rgb, srgb(SMOOTH / 255), rtol=3e-7)
    assert picture.source.notices == ()


def test_of_an_animation_the_still_picture_is_read() -> None:
    frames = [Image.fromarray(np.roll(SMOOTH, 7 * shift, axis=1)) for shift in range(4)]
    file = BytesIO()
    frames[0].save(file, "AVIF", save_all=True, append_images=frames[1:], quality=100, subsampling="4:4:4")
    picture, header = read_picture(file.getvalue()), read_header(file.getvalue())
    expected = np.asarray(Image.open(BytesIO(file.getvalue())))
    assert (header.width, header.height) == (50, 40)
    np.testing.assert_allclose(picture.rgb, srgb(expected / 255), atol=0.02)
    assert picture.source.notices == ("an animation: its still picture is read",)


def test_the_clean_aperture_is_what_is_read() -> None:
    data = cropped(3, 5, 20, 10)
    assert imagecodecs.avif_decode(data).shape == (40, 50, 3)  # the decoder leaves it to us
    picture, header = read_picture(data), read_header(data)
    assert (header.width, header.height) == (20, 10)
    np.testing.assert_allclose(picture.rgb, srgb(SMOOTH[5:15, 3:23] / 255), rtol=3e-7)
    assert picture.source.notices == ()


@pytest.mark.parametrize("box_of", [(0, 0, 51, 40), (49, 0, 2, 40), (-1, 0, 20, 20)])
def test_an_aperture_beyond_the_picture_is_ignored_with_a_note(box_of: tuple[int, int, int, int]) -> None:
    picture = read_picture(cropped(*box_of))
    assert picture.rgb.shape == (40, 50, 3)
    assert "clean aperture" in picture.source.notices[0]


def test_libheif_crops_alike() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    file = pillow_heif.open_heif(BytesIO(cropped(3, 5, 20, 10)))
    assert file.size == (20, 10)  # its wheel decodes no AV1


def test_exif_of_a_file_with_an_aperture_is_kept() -> None:
    file = BytesIO()
    Image.fromarray(SMOOTH).save(file, "AVIF", exif=exif(1))
    assert read_header(file.getvalue()).notices == ()


@pytest.mark.parametrize("bits", [8, 10])
def test_grey_with_alpha(bits: int) -> None:
    coded = noise(24, 32, 2, bits=16) >> (16 - bits)
    if bits == 8:
        coded = coded.astype(np.uint8)
    data = bytes(imagecodecs.avif_encode(coded, level=100, bitspersample=bits))
    picture = read_picture(data)
    top = 2**bits - 1
    assert read_header(data).channels == 2
    assert picture.source.is_grey
    np.testing.assert_allclose(picture.rgb, srgb(coded[..., :1] / top).repeat(3, axis=2), atol=1e-6)
    assert picture.alpha is not None
    np.testing.assert_allclose(picture.alpha, coded[..., 1] / top, atol=1e-6)


def test_grey_with_alpha_given_as_rgba(monkeypatch: pytest.MonkeyPatch) -> None:
    coded = noise(24, 32, 2)
    data = bytes(imagecodecs.avif_encode(coded, level=100))
    as_rgba = coded[..., [0, 0, 0, 1]]
    monkeypatch.setattr(imagecodecs, "avif_decode", lambda *_, **__: as_rgba)
    picture = read_picture(data)
    assert picture.source.is_grey
    assert picture.alpha is not None
    np.testing.assert_allclose(picture.alpha, np.asarray(coded[..., 1] / 255), atol=1e-6)
