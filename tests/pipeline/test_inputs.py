"""Loose values to a checked request: every bad one is an InputError that names its input."""

from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luxscaler.errors import InputError
from luxscaler.geometry import TileBox, Wrap
from luxscaler.io.options import ExportOptions
from luxscaler.options import LayerChoice
from luxscaler.pipeline.final_size import FinalSize
from luxscaler.pipeline.inputs import request_from_inputs
from luxscaler.pipeline.request import UpscaleRequest

TILE, DATA = "https://example.com/a.png", "data:image/png;base64,AAAA"
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.lists(st.integers()),
    st.binary(),
)


def test_the_tile_alone_gives_the_defaults() -> None:
    assert request_from_inputs(tile_input=TILE) == UpscaleRequest(TILE)


def test_all_inputs_arrive() -> None:
    request = request_from_inputs(
        tile_input=TILE,
        global_reference=DATA,
        tile_box=" 0, 0.25,0.5,0.75 ",
        output_format="exr",
        hdr_boost=1.5,
        fractality=1.2,
        scale=2,
        model="fast",
        sdr=True,
        exr_type="half",
        exr_compression="dwaa",
    )
    export = ExportOptions(exr_type="half", exr_compression="dwaa")
    box = TileBox(0.0, 0.25, 0.5, 0.75)
    assert request == UpscaleRequest(TILE, DATA, box, "exr", 1.5, 1.2, 2.0, "fast", sdr=True, export=export)


def test_inputs_of_a_whole_picture_arrive() -> None:
    request = request_from_inputs(
        tile_input=TILE,
        output_format="exr",
        profile="acescg",
        layer="beauty",
        part=2,
        wrap="xy",
        width="4096",
    )
    assert request == UpscaleRequest(
        TILE,
        output_format="exr",
        export=ExportOptions(profile="acescg"),
        choice=LayerChoice("beauty", 2),
        wrap=Wrap(True, True),
        size=FinalSize(width=4096),
    )
    assert request_from_inputs(tile_input=TILE, megapixels=1.5).size == FinalSize(megapixels=1.5)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"wrap": "x"}, "wrap is for a whole picture, and this is a tile of its reference"),
        ({"width": 100}, "a size is for a whole picture; a tile of a reference has its master's scale"),
    ],
)
def test_a_tile_has_no_size_and_no_wrap_of_its_own(inputs: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        request_from_inputs(tile_input=TILE, global_reference=DATA, **inputs)


@pytest.mark.parametrize("name", ["hdr_boost", "fractality", "scale"])
def test_numbers_may_come_as_text(name: str) -> None:
    request = request_from_inputs(tile_input=TILE, **{name: " 1.5 "})
    assert getattr(request, name) == 1.5


@pytest.mark.parametrize("empty", ["", "  ", None])
def test_an_empty_tile_box_is_none(empty: object) -> None:
    assert request_from_inputs(tile_input=TILE, tile_box=empty).box is None


BAD: list[tuple[str, object, str]] = [
    ("profile", "swop", "profile is 'swop'; it must be one of srgb, display-p3, "),
    ("layer", 3, "layer is 3; it must be text"),
    ("layer", "x" * 300, "layer has 300 characters"),
    ("part", 1.5, "part is 1.5; it must be a whole number"),
    ("part", -1, "part is -1; it must be at least 1"),
    ("wrap", "z", "wrap is 'z'; it must be one of none, x, y, xy"),
    ("width", 0.5, "width is 0.5; it must be a whole number"),
    ("height", -5, "height is -5; it must be above 0"),
    ("long_edge", True, "long_edge is True; it must be a number"),
    ("megapixels", -1, "megapixels is -1.0; it must be above 0"),
    ("sdr", "yes", "sdr is 'yes'; it must be true or false"),
    ("sdr", 1, "sdr is 1; it must be true or false"),
    ("exr_type", "double", "exr_type is 'double'; it must be one of float, half"),
    ("exr_type", 16, "exr_type is 16; it must be text"),
    ("exr_compression", "b44", "exr_compression is 'b44'; it must be one of auto, zip, "),
    ("exr_compression", "", "exr_compression is ''; it must be one of auto, zip, "),
    ("tile_input", None, "tile_input is missing"),
    ("tile_input", "", "tile_input is ''"),
    ("tile_input", 5, "tile_input is 5"),
    ("tile_input", b"bytes", "tile_input is b'bytes'"),
    ("global_reference", "", "global_reference is ''"),
    ("global_reference", ["x"], r"global_reference is \['x'\]"),
    ("output_format", None, "output_format is None; it must be text"),
    ("output_format", "bmp", "output_format is 'bmp'; it must be one of webp, png, tiff, tiff16, exr"),
    ("output_format", "EXR", "output_format is 'EXR'"),
    ("hdr_boost", None, "hdr_boost is None; it must be a number"),
    ("hdr_boost", True, "hdr_boost is True; it must be a number"),
    ("hdr_boost", "abc", "hdr_boost is 'abc'; it must be a number"),
    ("hdr_boost", "NaN", "hdr_boost is 'NaN'; it must be a finite number"),
    ("hdr_boost", float("inf"), "hdr_boost is inf; it must be a finite number"),
    ("hdr_boost", 10**400, "hdr_boost is 1000.*; it must be a number"),
    ("hdr_boost", 10**5000, "hdr_boost is an integer of thousands of digits; it must be a number"),
    ("hdr_boost", "9" * 4000, "hdr_boost is '999.*…; it must be a finite number"),
    ("hdr_boost", [0] * 1000, "hdr_boost is .*…; it must be a number"),
    ("model", "x" * 5000, "model has 5000 characters; it may have 4096"),
    ("tile_box", "x" * 100_000, "tile_box has 100000 characters"),
    ("tile_input", "https://example.com/" + "x" * 100_000, "tile_input: the URL has 100020 characters"),
    ("tile_input", Path("a.png"), "tile_input is PosixPath"),
    ("hdr_boost", 0.99, "hdr_boost is 0.99; it must be from 1.0 to 49.0"),
    ("hdr_boost", 49.01, "hdr_boost is 49.01"),
    ("fractality", -0.1, "fractality is -0.1; it must be from 0.0 to 2.0"),
    ("fractality", 2.1, "fractality is 2.1"),
    ("scale", 0.5, "scale is 0.5; it must be from 1 to 8"),
    ("scale", 8.5, "scale is 8.5"),
    ("scale", [4], r"scale is \[4\]"),
    ("model", 3, "model is 3; it must be text"),
    ("tile_box", "0,0,1", "tile_box is '0,0,1'; it must be four numbers"),
    ("tile_box", "0,0,1,1,1", "tile_box is '0,0,1,1,1'"),
    ("tile_box", "a,b,c,d", "tile_box is 'a,b,c,d'"),
    ("tile_box", "0 0 1 1", "tile_box is '0 0 1 1'"),
    ("tile_box", "0,0,nan,1", "tile_box is 0,0,nan,1"),
    ("tile_box", "-0.1,0,1,1", "tile_box is -0.1,0,1,1"),
    ("tile_box", "0.5,0,0.6,1", "the box inside 1 × 1"),
    ("tile_box", "0,0,0,1", "sizes above 0"),
    ("tile_box", [0, 0, 1, 1], r"tile_box is \[0, 0, 1, 1\]; it must be text"),
    ("tile_box", "0,0,1,1", "global_reference, and none was given"),
]


@pytest.mark.sample(14)
@pytest.mark.parametrize(
    ("name", "value", "message"), BAD, ids=[f"{bad[0]}-{n}" for n, bad in enumerate(BAD)]
)
def test_a_bad_value_is_one_line_that_names_it(name: str, value: object, message: str) -> None:
    inputs: dict[str, Any] = {"tile_input": TILE, name: value}
    with pytest.raises(InputError, match=message) as caught:
        request_from_inputs(**inputs)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@given(
    name=st.sampled_from(
        ["tile_input", "global_reference", "tile_box", "output_format", "hdr_boost", "scale"]
    ),
    value=ANYTHING,
)
def test_no_value_raises_anything_but_input_errors_of_one_line(name: str, value: object) -> None:
    inputs: dict[str, Any] = {"tile_input": TILE, name: value}
    try:
        request_from_inputs(**inputs)
    except InputError as error:
        lines = str(error).splitlines()
    else:
        return
    assert len(lines) == 1
    assert name in lines[0]


def test_a_request_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        UpscaleRequest("a.png").scale = 2.0  # type: ignore[misc]


def test_a_request_made_in_python_is_checked_too() -> None:
    with pytest.raises(InputError, match="hdr_boost is nan"):
        UpscaleRequest("a.png", hdr_boost=float("nan"))
    with pytest.raises(InputError, match="scale is nan"):
        UpscaleRequest("a.png", scale=float("nan"))


PATHS = [
    *(
        "/etc/passwd",
        "/proc/self/environ",
        "etc/passwd",
        "../../etc/passwd",
        "./a.png",
        "~/a.png",
        "~root/id",
    ),
    *("file:///etc/passwd", "file:/etc/passwd", "file://localhost/etc/passwd", "FILE:///etc/passwd"),
    *(
        "C:\\a.png",
        "\\\\server\\share\\a.png",
        "//server/share/a.png",
        "ftp://example.com/a.png",
        "http:a.png",
    ),
    *(" /etc/passwd", "/etc/passwd#http://example.com", "jar:file:///a!/b", "http:///etc/passwd"),
]


@pytest.mark.parametrize("name", ["tile_input", "global_reference"])
@pytest.mark.parametrize("path", PATHS)
def test_text_of_a_client_is_never_a_path(name: str, path: str) -> None:
    inputs: dict[str, Any] = {"tile_input": TILE, name: path}
    with pytest.raises(InputError, match=rf"{name}.*must be an http, https or data URL") as caught:
        request_from_inputs(**inputs)
    assert "\n" not in str(caught.value)


def test_a_password_in_a_url_is_not_shown() -> None:
    with pytest.raises(InputError) as caught:
        request_from_inputs(tile_input="ftp://user:sesame@example.com/a.png?signature=sesame")
    assert "sesame" not in str(caught.value)
