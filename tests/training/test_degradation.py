"""Recipes from files, and what they do to a crop."""

import json
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from luxscaler.errors import InputError
from luxscaler.training.degradation import PRESETS, Recipe, Stage, parsed, recipe_of
from luxscaler.training.degrade import degraded
from luxscaler.training.seeds import generator


def _crop(side: int = 64) -> torch.Tensor:
    small = torch.rand((1, 3, 12, 12), generator=torch.Generator().manual_seed(3))
    return F.interpolate(small, (side, side), mode="bicubic").clamp(0, 1)


@pytest.mark.sample(3)
@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_presets_give_the_small_size_and_depend_on_the_generator(name: str, scale: int) -> None:
    crop = _crop()
    made = [degraded(crop, PRESETS[name], scale, generator(0, n)) for n in range(12)]
    for number, small in enumerate(made):
        assert small.shape == (1, 3, 64 // scale, 64 // scale)
        assert small.min() >= 0
        assert small.max() <= 1
        assert torch.equal(small, degraded(crop, PRESETS[name], scale, generator(0, number)))
    differ = any(not torch.equal(made[0], other) for other in made[1:])
    assert differ == (name != "clean")


def test_clean_is_an_antialiased_cubic() -> None:
    crop = _crop()
    expected = F.interpolate(crop, (16, 16), mode="bicubic", antialias=True).clamp(0, 1)
    assert torch.equal(degraded(crop, PRESETS["clean"], 4, generator(0)), expected)


@pytest.mark.slow
def test_harder_presets_do_more() -> None:
    crop = _crop(128)
    clean = degraded(crop, PRESETS["clean"], 4, generator(0))

    def error(name: str) -> float:
        errors = [
            (degraded(crop, PRESETS[name], 4, generator(1, n)) - clean).square().mean() for n in range(24)
        ]
        return float(torch.stack(errors).mean())

    assert 0 < error("camera") < error("real-esrgan")
    assert 0 < error("web") < error("real-esrgan")


def test_a_blur_of_a_file_has_its_sigma() -> None:
    point = torch.zeros((1, 3, 65, 65))
    point[:, :, 32, 32] = 1.0
    recipe = parsed({"stages": [{"blur": 1, "sigma": 1.6, "isotropic": 1}]}, "x")
    spread = degraded(point, recipe, 1, generator(0))[0, 0] * 1.0
    axis = torch.arange(65.0) - 32
    variance = float((spread.sum(0) * axis**2).sum() / spread.sum())
    assert variance**0.5 == pytest.approx(1.6, abs=0.15)


def test_files_are_recipes(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"stages": [{"jpeg": [40, 60]}, {"jpeg": None}], "final_sinc": 0.5}))
    stages = (Stage(jpeg=(40.0, 60.0)), Stage())
    assert recipe_of(str(path)) == Recipe(stages, ("antialiased",), 0.5)
    assert recipe_of("web") is PRESETS["web"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "a recipe must be an object"),
        ({"stage": []}, "unknown field 'stage'"),
        ({"stages": {}}, "stages must be a list"),
        ({"stages": [1]}, "a stage must be an object"),
        ({"stages": [{"blurr": 1}]}, "unknown field 'blurr'"),
        ({"stages": [{"blur": 2}]}, "blur is 2; it must be from 0 to 1"),
        ({"stages": [{"blur": True}]}, "blur is True"),
        ({"stages": [{"jpeg": [90, 30]}]}, "jpeg is \\[90, 30\\]"),
        ({"stages": [{"jpeg": 0}]}, "jpeg is 0"),
        ({"stages": [{"sigma": "1"}]}, "sigma is '1'"),
        ({"stages": [{"resize": [0.0, 1.0]}]}, "resize is"),
        ({"modes": ["nearest"]}, "modes is"),
        ({"final_sinc": float("nan")}, "final_sinc is nan"),
    ],
)
def test_a_wrong_field_of_a_file_is_named(content: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parsed(content, "mine.json")


def test_neither_preset_nor_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be one of clean, camera, web, real-esrgan, or a JSON file"):
        recipe_of("dirty")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(InputError, match="no readable JSON"):
        recipe_of(str(tmp_path / "a.json"))
