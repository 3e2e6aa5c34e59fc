"""OpenEXR's standard attributes go from EXR to EXR, to the byte; what would be false of it does not."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import OpenImageIO as oiio  # noqa: N813
import pytest

from luxscaler.io.exr.standard import STANDARD
from luxscaler.io.frame import ESTIMATED_RANGE_COMMENT
from luxscaler.io.options import ExportOptions
from luxscaler.io.read import read_picture
from luxscaler.io.write import export, open_stream
from luxscaler.isolation.pool import decode_to_file
from luxscaler.picture import PictureSource

TIME_CODE = OpenEXR.TimeCode(10, 11, 12, 13, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8)
KEPT: dict[str, Any] = {
    "framesPerSecond": OpenEXR.OpaqueAttribute(
        (24000).to_bytes(4, "little") + (1001).to_bytes(4, "little"), "rational"
    ),
    "timeCode": TIME_CODE,
    "keyCode": OpenEXR.KeyCode(1, 2, 3, 4, 5, 4, 64),
    "expTime": 0.02,
    "isoSpeed": 800.0,
    "cameraMake": "Maker",
    "lensModel": "50 mm Ångström",
    "reelName": "A001",
    "imageCounter": 1001,
    "worldToCamera": np.arange(16, dtype=np.float32).reshape(4, 4),
    "sensorCenterOffset": np.array([1.5, 2.5], np.float32),
    "envmap": OpenEXR.ENVMAP_LATLONG,
    "comments": "Graded on set",
    "owner": "A. Photographer",
    "capDate": "2026:05:04 03:02:01",
}
FALSE: dict[str, Any] = {
    "adoptedNeutral": np.array([0.3, 0.3], np.float32),
    "lookModTransform": "look",
    "nuke/node": "Write1",
}


@pytest.fixture
def plate(tmp_path: Path) -> Path:
    path = tmp_path / "plate.exr"
    pixels = np.random.default_rng(1).random((12, 16, 3), np.float32)
    with OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION, **KEPT, **FALSE}, {"RGB": pixels}) as file:
        file.write(str(path))
    return path


def header(path: Path) -> dict[str, str]:
    file = OpenEXR.File(str(path))
    return {name: str(value) for name, value in file.header().items()}


def written(
    path: Path, source: PictureSource, *, rows: bool, options: ExportOptions = ExportOptions()
) -> Path:
    rgb = np.random.default_rng(1).random((90, 16, 3), np.float32)
    about: dict[str, Any] = {
        "exif": source.exif,
        "exr_attributes": source.exr_attributes,
        "options": options,
    }
    if not rows:
        export(path, rgb, **about)
        return path
    with open_stream(path, 16, 90, **about) as writer:
        writer.write(rgb)
    return path


@pytest.mark.parametrize("rows", [False, True], ids=["whole", "row by row"])
def test_they_come_out_as_they_came_in(rows: bool, plate: Path, tmp_path: Path) -> None:
    source = read_picture(plate).source
    said = "EXR attributes of other programs are left out: adoptedNeutral, lookModTransform, nuke/node"
    assert source.notices == (said,)
    before, after = header(plate), header(written(tmp_path / "a.exr", source, rows=rows))
    assert {name: after.get(name) for name in KEPT} == {name: before[name] for name in KEPT}
    assert Fraction(after["framesPerSecond"]) == Fraction(24000, 1001)
    assert not set(FALSE) & set(after)
    np.testing.assert_array_equal(
        read_picture(tmp_path / "a.exr").rgb, np.random.default_rng(1).random((90, 16, 3), np.float32)
    )


@pytest.mark.parametrize("rows", [False, True], ids=["whole", "row by row"])
def test_openimageio_reads_them(rows: bool, plate: Path, tmp_path: Path) -> None:
    spec = oiio.ImageBuf(str(written(tmp_path / "a.exr", read_picture(plate).source, rows=rows))).spec()
    assert tuple(spec.getattribute("FramesPerSecond")) == (24000, 1001)
    assert spec.get_string_attribute("smpte:TimeCode") == "10:11:12:13"
    assert spec.getattribute("ExposureTime") == pytest.approx(0.02)
    assert spec.get_string_attribute("q") == ""


def test_a_picture_laid_on_disk_remembers_them(plate: Path, tmp_path: Path) -> None:
    laid = decode_to_file(plate, tmp_path / "laid", max_pixels=1000, limits=None)
    assert laid.source.exr_attributes == read_picture(plate).source.exr_attributes
    assert PictureSource.from_json(laid.source.to_json()) == laid.source


def test_one_of_another_type_is_left_out_with_a_note(tmp_path: Path) -> None:
    with OpenEXR.File(
        {"timeCode": "10:11:12:13", "expTime": 0.5}, {"RGB": np.zeros((4, 4, 3), np.float32)}
    ) as file:
        file.write(str(tmp_path / "a.exr"))
    source = read_picture(tmp_path / "a.exr").source
    assert [name for name, _, _ in source.exr_attributes] == ["expTime"]
    assert source.notices == ("damaged EXR attributes are left out: timeCode",)


def test_nothing_about_storage_or_colour_is_among_them() -> None:
    stored = {
        "channels",
        "compression",
        "dataWindow",
        "displayWindow",
        "lineOrder",
        "tiles",
        "type",
        "version",
    }
    colour = {"chromaticities", "whiteLuminance", "adoptedNeutral", "colorInteropID", "xDensity"}
    assert not (stored | colour) & set(STANDARD)


@pytest.mark.parametrize("rows", [False, True], ids=["whole", "row by row"])
def test_the_comment_of_a_source_stays_beside_that_of_an_estimate(
    rows: bool, plate: Path, tmp_path: Path
) -> None:
    source, options = read_picture(plate).source, ExportOptions(estimated_range=True)
    once = written(tmp_path / "a.exr", source, rows=rows, options=options)
    both = f"Graded on set\n{ESTIMATED_RANGE_COMMENT}"
    assert header(once)["comments"] == both
    again = written(tmp_path / "b.exr", read_picture(once).source, rows=rows, options=options)
    assert header(again)["comments"] == both


def test_a_notice_of_many_attributes_is_one_short_line(tmp_path: Path) -> None:
    many = {f"nuke/input/number_{index}": float(index) for index in range(60)}
    with OpenEXR.File(many, {"RGB": np.zeros((4, 4, 3), np.float32)}) as file:
        file.write(str(tmp_path / "a.exr"))
    (said,) = read_picture(tmp_path / "a.exr").source.notices
    assert len(said) == 200
    assert said.endswith("…")
