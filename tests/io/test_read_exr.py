"""OpenEXR as others write it: previews, odd chromaticities, several parts, attributes of every kind."""

import struct
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import OpenImageIO as oiio  # noqa: N813
import pytest
from numpy.typing import NDArray

from luxscaler.color import D65, EQUAL_ENERGY, REC709, bradford, rgb_to_xyz
from luxscaler.errors import PictureError
from luxscaler.io.exr.header import read_parts
from luxscaler.io.read import read_header, read_picture
from luxscaler.isolation.pool import decode_to_file
from luxscaler.options import LayerChoice
from tests.support.picture_files import exr, noise

LIGHT = (noise(12, 10) / 64).astype(np.float32)
PLANES = {name: LIGHT[..., index] for index, name in enumerate("RGB")}


def with_attribute(data: bytes, name: str, kind: str, value: bytes) -> bytes:
    """A single-part file with one attribute more; the table of offsets behind the header is moved along."""
    start = 8
    added = name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<I", len(value)) + value
    new = data[:start] + added + data[start:]
    at = start
    while new[at]:
        kind_at = new.index(b"\0", at) + 1
        size_at = new.index(b"\0", kind_at) + 1
        at = size_at + 4 + struct.unpack_from("<I", new, size_at)[0]
    at += 1
    (first,) = struct.unpack_from("<Q", new, at)
    count = (first + len(added) - at) // 8
    offsets = struct.unpack_from(f"<{count}Q", new, at)
    moved = struct.pack(f"<{count}Q", *(offset + len(added) for offset in offsets))
    return new[:at] + moved + new[at + 8 * count :]


def of_parts(parts: Sequence[tuple[dict[str, Any], dict[str, NDArray[Any]]]]) -> bytes:
    file = BytesIO()
    made = [OpenEXR.Part({"type": OpenEXR.scanlineimage, **head}, dict(planes)) for head, planes in parts]
    with OpenEXR.File(made) as image:
        image.write(file)
    return file.getvalue()


def seen_by_openimageio(data: bytes, folder: Path) -> NDArray[Any]:
    path = folder / "seen.exr"
    path.write_bytes(data)
    return np.asarray(oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT))


def test_a_file_with_a_preview_is_read(tmp_path: Path) -> None:
    preview = struct.pack("<II", 8, 4) + bytes(range(128))
    data = with_attribute(exr(PLANES), "preview", "preview", preview)
    assert read_header(data).bits == 32
    np.testing.assert_array_equal(read_picture(data).rgb, LIGHT)
    np.testing.assert_array_equal(seen_by_openimageio(data, tmp_path), LIGHT)


@pytest.mark.parametrize("size", [0, 3, 70_000, 2_000_000])
def test_attributes_of_any_type_and_size_are_passed_over(size: int) -> None:
    data = with_attribute(exr(PLANES), "vendor", "opaqueThing", bytes(size))
    assert [part.name for part in read_parts(BytesIO(data))] == [""]
    np.testing.assert_array_equal(read_picture(data).rgb, LIGHT)


def test_channels_that_are_ciexyz() -> None:
    """X and Z of CIE XYZ are primaries whose y is 0 (SMPTE ST 2065-4 names such files)."""
    to_xyz = bradford(D65, EQUAL_ENERGY) @ rgb_to_xyz(REC709)
    xyz = (LIGHT @ to_xyz.T).astype(np.float32)
    data = exr(
        {name: xyz[..., index] for index, name in enumerate("RGB")},
        chromaticities=(1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1 / 3, 1 / 3),
    )
    picture = read_picture(data)
    np.testing.assert_allclose(picture.rgb, LIGHT, atol=1e-5)
    assert picture.source.color_space == "linear, EXR chromaticities"
    assert picture.source.notices == ()


def test_the_first_part_of_a_picture_is_read() -> None:
    left = {name: plane + 1 for name, plane in PLANES.items()}
    data = of_parts([({"name": "left"}, left), ({"name": "right"}, PLANES)])
    picture = read_picture(data)
    np.testing.assert_array_equal(picture.rgb, LIGHT + 1)
    assert picture.source.notices == ("part 1 of 2 is read: left", "other parts: right (part chooses)")


def test_a_part_without_colour_is_passed_over() -> None:
    depth = {"Z": np.ones((12, 10), np.float32)}
    numbers = {name: np.arange(120, dtype=np.uint32).reshape(12, 10) + 70_000 for name in "RGB"}
    data = of_parts([({"name": "depth"}, depth), ({"name": "beauty"}, numbers)])
    picture, header = read_picture(data), read_header(data)
    assert (header.width, header.height, header.bits) == (10, 12, 32)
    np.testing.assert_array_equal(picture.rgb[..., 1], numbers["G"])
    assert picture.source.notices[0] == "part 2 of 2 is read: beauty"


def test_parts_that_differ_in_their_display_windows_are_refused_by_name() -> None:
    """OpenEXR writes no such file and reads none, so all parts have the size that the first one says."""
    light = {"RGB": np.ones((6, 8, 3), np.float32)}
    data = of_parts([({"name": "one"}, light), ({"name": "two"}, light)])
    name = b"displayWindow\0box2i\0\x10\0\0\0"
    at = data.rfind(name) + len(name)
    changed = data[:at] + struct.pack("<4i", 0, 0, 3, 3) + data[at + 16 :]
    with pytest.raises(PictureError, match="parts differ in displayWindow, which OpenEXR does not allow"):
        read_header(changed)
    assert (read_header(data, LayerChoice(part=2)).width, read_header(data).height) == (8, 6)


def test_chromaticities_that_the_first_part_lacks_are_refused_by_name() -> None:
    p3 = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.3290)
    data = of_parts([({"name": name, "chromaticities": p3}, {"RGB": LIGHT}) for name in ("one", "two")])
    name = b"chromaticities\0chromaticities\0"
    other = name.replace(b"s", b"z", 1)
    with pytest.raises(PictureError, match="parts differ in chromaticities, which OpenEXR does not"):
        read_picture(data.replace(name, other, 1))


def test_parts_may_differ_in_their_time_codes() -> None:
    """As OpenEXR writes them, and it and OpenImageIO read them."""
    parts = [
        ({"name": str(hour), "timeCode": OpenEXR.TimeCode(hour, *[0] * 17)}, {"RGB": LIGHT * hour})
        for hour in (1, 2)
    ]
    picture = read_picture(of_parts(parts), choice=LayerChoice(part=2))
    np.testing.assert_array_equal(picture.rgb, LIGHT * 2)


def test_parts_without_colour_are_refused_by_name() -> None:
    plane = np.zeros((4, 4), np.float32)
    data = of_parts([({"name": name}, {"Z": plane}) for name in ("near", "far")])
    with pytest.raises(PictureError, match=r"is an EXR of 2 parts \(near, far\), none of which has R, G, B"):
        read_picture(data)


def test_a_deep_file_is_refused_by_name() -> None:
    data = bytearray(exr(PLANES))
    data[5] |= 0x08  # the version field's flag of deep data
    with pytest.raises(PictureError, match="is a deep EXR, which is not supported"):
        read_header(bytes(data))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda data: data[:6], "there is no whole EXR header"),
        (lambda data: data[:60], "header"),
        (lambda data: data[:4] + b"\7" + data[5:], "is EXR of version 7"),
        (lambda data: data.replace(b"channels\0chlist", b"channelz\0chlist"), "it has no channels"),
        (lambda data: data.replace(b"dataWindow\0box2i", b"dataWindow\0box2f"), "dataWindow is 16 bytes"),
        (lambda data: data[:8] + b"x" * 300 + data[8:], "damaged EXR header"),
        (lambda data: data.replace(b"R\0\2\0\0\0", b"R\0\7\0\0\0"), "EXR channel of type 7"),
    ],
)
def test_damaged_headers_are_told(change: Any, text: str) -> None:
    with pytest.raises(PictureError, match=text) as caught:
        read_header(change(exr(PLANES)))
    assert "\n" not in str(caught.value)


def test_alpha_above_1_is_not_clipped_without_a_word(tmp_path: Path) -> None:
    light = np.full((4, 6), 0.5, np.float32)
    for top, said in ((1.0, ()), (1.2, ("alpha above 1 or below 0 is clipped",))):
        alpha = np.ones((4, 6), np.float32)
        alpha[2, 3] = top
        data = exr({**dict.fromkeys("RGB", light), "A": alpha})
        laid = decode_to_file(data, tmp_path / "p", max_pixels=100).whole()
        for picture in (read_picture(data), laid):
            assert picture.source.notices == said
            assert picture.alpha is not None
            assert float(picture.alpha.max()) == 1.0


def test_a_data_window_outside_of_the_picture_is_told() -> None:
    windows = {
        "dataWindow": (np.array([20, 0], np.int32), np.array([25, 3], np.int32)),
        "displayWindow": (np.array([0, 0], np.int32), np.array([9, 9], np.int32)),
    }
    data = exr(dict.fromkeys("RGB", np.ones((4, 6), np.float32)), **windows)
    picture = read_picture(data)
    assert not picture.rgb.any()
    assert "what is read is empty" in picture.source.notices[0]
