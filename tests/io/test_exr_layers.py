"""Which layer of an EXR is the picture, as renderers and compositors write them; checked by OpenImageIO."""

from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813
import pytest

from luxscaler import api
from luxscaler.errors import InputError, PictureError
from luxscaler.io.read import read_header, read_picture
from luxscaler.isolation.pool import decode_to_file, read_header_isolated, read_picture_isolated
from luxscaler.options import LayerChoice
from tests.io.test_read_exr import of_parts
from tests.support.picture_files import exr, noise

LIGHT = (noise(12, 10) / 64).astype(np.float32)
OTHER = LIGHT + 1
ALPHA = np.ones((12, 10), np.float32)
DEPTH = np.linspace(0, 9, 120, dtype=np.float32).reshape(12, 10)


def layer(prefix: str, light: np.ndarray = LIGHT, names: str = "RGB") -> dict[str, np.ndarray]:
    return {f"{prefix}{name}": np.ascontiguousarray(light[..., index]) for index, name in enumerate(names)}


BLENDER = {
    **layer("ViewLayer.Combined."),
    "ViewLayer.Combined.A": ALPHA,
    "ViewLayer.Depth.Z": DEPTH,
    **{f"ViewLayer.Normal.{name}": DEPTH for name in "XYZ"},
}
PASSES = {**layer("diffuse."), **layer("specular.", OTHER), "Z": DEPTH}


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    "planes",
    [
        BLENDER,
        {**layer("rgba."), "rgba.A": ALPHA},
        layer("", names="rgb"),
        {**layer("", names="rgb"), "a": ALPHA},
        {**layer("Beauty."), **layer("Albedo.", OTHER)},
        {**layer("C.", names="rgb"), "depth.Z": DEPTH},
        {**layer(""), **layer("diffuse.", OTHER)},
    ],
)
def test_the_picture_of_a_file_is_found(planes: dict[str, np.ndarray], tmp_path: Path) -> None:
    data = exr(planes)
    for picture in (read_picture(data), decode_to_file(data, tmp_path / "p", max_pixels=10**6).whole()):
        np.testing.assert_array_equal(picture.rgb, LIGHT)
    path = tmp_path / "seen.exr"
    path.write_bytes(data)
    seen = oiio.ImageBuf(str(path))
    red = next(i for i, name in enumerate(seen.spec().channelnames) if name.lower().endswith("r"))
    if len(planes) < 6:
        np.testing.assert_array_equal(np.asarray(seen.get_pixels(oiio.FLOAT))[..., red], LIGHT[..., 0])


def test_what_is_not_read_is_named() -> None:
    assert read_header(exr(BLENDER)).notices == (
        "the layer ViewLayer.Combined is read",
        "channels ignored: ViewLayer.Depth.Z, ViewLayer.Normal.X, ViewLayer.Normal.Y, ViewLayer.Normal.Z",
    )
    with_passes = exr({**layer(""), **layer("diffuse.", OTHER), **layer("specular.", OTHER)})
    assert read_header(with_passes).notices == ("other layers: diffuse, specular (layer chooses)",)


def test_several_layers_of_equal_standing_are_refused_with_their_names() -> None:
    with pytest.raises(PictureError, match=r"2 EXR layers: diffuse, specular; choose one of them \(layer\)"):
        read_picture(exr(PASSES))


@pytest.mark.parametrize("name", ["specular", "Specular"])
def test_a_layer_is_chosen(name: str, tmp_path: Path) -> None:
    data, choice = exr(PASSES), LayerChoice(name)
    assert read_header_isolated(data, choice=choice).channels == 3
    laid = decode_to_file(data, tmp_path / "p", max_pixels=10**6, choice=choice).whole()
    for picture in (read_picture_isolated(data, choice=choice), api.read(data, layer=name), laid):
        np.testing.assert_array_equal(picture.rgb, OTHER)
        assert "other layers: diffuse (layer chooses)" in picture.source.notices


def test_the_last_part_of_a_name_is_enough() -> None:
    np.testing.assert_array_equal(read_picture(exr(BLENDER), choice=LayerChoice("combined")).rgb, LIGHT)


@pytest.mark.parametrize("name", ["ViewLayer.Depth", "ViewLayer.Depth.Z", "z"])
def test_a_single_channel_is_read_as_grey(name: str) -> None:
    data = exr({**BLENDER, "Z": DEPTH} if name == "z" else BLENDER)
    picture = api.read(data, layer=name)
    assert read_header(data, LayerChoice(name)).channels == 1
    np.testing.assert_array_equal(picture.rgb, DEPTH[..., None].repeat(3, 2))


PARTS = [
    ({"name": "depth"}, {"Z": DEPTH}),
    ({"name": "diffuse"}, layer("", OTHER)),
    ({"name": "rgba"}, {**layer(""), "A": ALPHA}),
    ({"name": "light groups"}, {**layer("key.", OTHER + 1), **layer("fill.", OTHER + 2)}),
]


def test_files_of_several_parts(tmp_path: Path) -> None:
    data = of_parts(PARTS)
    picture = read_picture(data)
    np.testing.assert_array_equal(picture.rgb, LIGHT)
    assert picture.alpha is not None
    assert picture.source.notices == (
        "part 3 of 4 is read: rgba",
        "other layers: diffuse, fill, key (layer chooses)",
        "parts ignored: depth (Z)",
    )
    for choice, light in (
        (LayerChoice("diffuse"), OTHER),
        (LayerChoice("", 2), OTHER),
        (LayerChoice("fill"), OTHER + 2),
        (LayerChoice("key", 4), OTHER + 1),
    ):
        np.testing.assert_array_equal(read_picture(data, choice=choice).rgb, light)
        laid = decode_to_file(data, tmp_path / "p", max_pixels=10**6, choice=choice)
        np.testing.assert_array_equal(laid.whole().rgb, light)
    np.testing.assert_array_equal(read_picture(data, choice=LayerChoice("Z", 1)).rgb[..., 0], DEPTH)
    path = tmp_path / "seen.exr"
    path.write_bytes(data)
    np.testing.assert_array_equal(oiio.ImageBuf(str(path), 1, 0).get_pixels(oiio.FLOAT), OTHER)


def test_parts_of_the_same_layout_come_in_bands_from_the_one_that_is_chosen(tmp_path: Path) -> None:
    data = of_parts([({"name": "left"}, layer("")), ({"name": "right"}, layer("", OTHER))])
    for part, light in ((1, LIGHT), (2, OTHER)):
        choice = LayerChoice(part=part)
        laid = decode_to_file(data, tmp_path / "p", max_pixels=10**6, choice=choice)
        np.testing.assert_array_equal(laid.whole().rgb, light)


@pytest.mark.parametrize(
    ("data", "choice", "text"),
    [
        (exr(PASSES), LayerChoice("emission"), "has no EXR layer 'emission'; it has diffuse, specular"),
        (exr(layer("")), LayerChoice(part=2), "has 1 part, and part is 2"),
        (of_parts(PARTS), LayerChoice(part=5), "has 4 parts, and part is 5"),
        (of_parts(PARTS), LayerChoice(part=1), "has the channels Z in EXR part 1; R, G, B or Y are needed"),
        (of_parts(PARTS), LayerChoice("diffuse", 3), "has no EXR layer 'diffuse'; it has rgba"),
        (exr({f"N.{name}": DEPTH for name in "XYZ"}), LayerChoice(), "has the EXR channels N.X, N.Y, N.Z"),
    ],
)
def test_what_is_not_there_is_named(data: bytes, choice: LayerChoice, text: str) -> None:
    with pytest.raises(PictureError, match=text):
        read_header(data, choice)
    with pytest.raises(PictureError, match=text):
        read_picture_isolated(data, choice=choice)


def test_other_formats_have_no_layers(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    oiio.ImageBuf(oiio.ImageSpec(4, 4, 3, "uint8")).write(str(path))
    with pytest.raises(PictureError, match="is png; only EXR has layers and parts"):
        api.read(path, layer="rgba")


def test_a_part_is_counted_from_one() -> None:
    with pytest.raises(InputError, match="part is 0; it must be at least 1"):
        LayerChoice(part=0)
    with pytest.raises(InputError, match="layer has 300 characters"):
        LayerChoice("x" * 300)


@pytest.mark.parametrize("wanted", ["Z", "depth", "Depth"])
def test_a_part_of_one_channel_has_two_names(wanted: str) -> None:
    data = of_parts([({"name": "rgba"}, layer("")), ({"name": "depth"}, {"Z": DEPTH})])
    picture = read_picture(data, choice=LayerChoice(wanted))
    np.testing.assert_array_equal(picture.rgb[..., 0], DEPTH)
    assert picture.source.is_grey
    assert picture.source.notices == ("part 2 of 2 is read: depth",)
    assert "parts ignored: depth (Z)" in read_header(data).notices


HASHES = np.random.default_rng(3).integers(0, 2**31 - 2**24, (4, 12, 10), dtype=np.uint32).view(np.float32)
"""Bits of finite floats, as Cryptomatte holds hashes."""
CRYPTOMATTE = {
    "cryptomatte/1a2b3c4/name": "ViewLayer.CryptoObject",
    "cryptomatte/1a2b3c4/conversion": "uint32_to_float32",
}


def cryptomatte(prefix: str, names: str = "rgba") -> dict[str, np.ndarray]:
    return {f"{prefix}.{name}": HASHES[index] for index, name in enumerate(names)}


OBJECTS = cryptomatte("ViewLayer.CryptoObject00")


@pytest.mark.parametrize(
    ("planes", "attributes", "layer_name"),
    [
        (OBJECTS, CRYPTOMATTE, ""),
        (OBJECTS, {}, ""),  # attributes do not outlive every program
        (cryptomatte("ids00"), {"cryptomatte/5/name": "ids"}, ""),
        ({**OBJECTS, "Z": DEPTH}, CRYPTOMATTE, ""),
        ({**layer(""), **OBJECTS}, CRYPTOMATTE, "cryptoobject00"),
        ({**layer(""), **OBJECTS}, CRYPTOMATTE, "ViewLayer.CryptoObject00.r"),
    ],
)
def test_cryptomatte_is_never_enlarged(
    planes: dict[str, np.ndarray], attributes: dict[str, str], layer_name: str
) -> None:
    with pytest.raises(PictureError, match=r"Cryptomatte.*name objects.*cannot be upscaled"):
        read_header(exr(planes, **attributes), LayerChoice(layer_name))


def test_cryptomatte_beside_a_picture_is_left_out_with_a_note(tmp_path: Path) -> None:
    data = exr({**layer("diffuse."), **OBJECTS, "Z": DEPTH}, **CRYPTOMATTE)
    laid = decode_to_file(data, tmp_path / "p", max_pixels=10**6).whole()
    np.testing.assert_array_equal(laid.rgb, LIGHT)
    assert laid.source.notices == (
        "the layer diffuse is read",
        "channels ignored: Z",
        "Cryptomatte is left out: ViewLayer.CryptoObject00: its numbers name objects, "
        "and those between them name none",
    )
    hashes = layer("", HASHES[:3].transpose(1, 2, 0))
    of_its_own_part = of_parts([({"name": "beauty"}, layer("")), ({"name": "crypto_object00"}, hashes)])
    assert "Cryptomatte is left out: crypto_object00" in read_header(of_its_own_part).notices[1]


@pytest.mark.parametrize(
    ("planes", "name"),
    [
        ({**layer(""), "id": DEPTH}, "id"),
        ({**layer(""), "ViewLayer.IndexOB.X": DEPTH}, "indexob"),
        ({**layer(""), "mask": DEPTH.astype(np.uint32)}, "mask"),
        ({"Y": DEPTH.astype(np.uint32)}, ""),
    ],
)
def test_numbers_of_objects_are_not_enlarged_without_a_word(planes: dict[str, np.ndarray], name: str) -> None:
    said = read_header(exr(planes), LayerChoice(name)).notices[-1]
    assert "where these numbers name objects, the enlarged name none" in said


def test_layers_as_nuke_writes_them() -> None:
    names = ("red", "green", "blue")
    planes = {f"diffuse.{name}": np.ascontiguousarray(OTHER[..., i]) for i, name in enumerate(names)}
    data = exr({**layer(""), **planes, "diffuse.alpha": ALPHA})
    assert read_header(data).notices == ("other layers: diffuse (layer chooses)",)
    picture = api.read(data, layer="diffuse")
    np.testing.assert_array_equal(picture.rgb, OTHER)
    assert picture.alpha is not None


def test_hundreds_of_channels_are_said_in_one_short_line() -> None:
    many = {f"mask_{index:03d}.Z": DEPTH for index in range(200)}
    (said,) = read_header(exr({**layer(""), **many})).notices
    assert said.startswith("channels ignored: mask_000.Z, ")
    assert len(said) == 200
    with pytest.raises(PictureError) as caught:
        read_header(exr(many))
    assert len(str(caught.value)) < 300
