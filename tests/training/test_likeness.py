"""Pictures that show the same, or parts of the same, are never on both sides of a training."""

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from luxscaler.training.likeness import Look, groups_of
from luxscaler.training.pictures import TrainingPicture, split, survey

SIDE = 192


@cache
def _photo(seed: int) -> Image.Image:
    """Shapes of many sizes, with grain."""
    rng = np.random.default_rng(seed)
    light = np.zeros((SIDE, SIDE, 3))
    for cells in (4, 12, 40):
        small = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), np.uint8))
        light += np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC), float) / 3
    return Image.fromarray((light + rng.normal(0, 3, light.shape)).clip(0, 255).astype(np.uint8))


def _surveyed(folder: Path, pictures: dict[str, Image.Image]) -> list[TrainingPicture]:
    folder.mkdir()
    for name, picture in pictures.items():
        picture.save(folder / name, quality=60)
    good, rejected = survey(folder, folder.parent / "store", least_side=64, tell=lambda *_: None)
    assert not rejected
    return good


def _looks(good: list[TrainingPicture]) -> list[Look]:
    return [each.look for each in good if each.look is not None]


def _groups(good: list[TrainingPicture]) -> list[list[str]]:
    return [[good[place].name for place in group] for group in groups_of(_looks(good)) if len(group) > 1]


def test_copies_and_parts_belong_together_and_others_do_not(tmp_path: Path) -> None:
    again = {
        "mirrored.png": ImageOps.mirror(_photo(0)),
        "turned.png": _photo(1).rotate(90),
        "darker.png": _photo(2).point(lambda code: int(0.8 * code)),
        "smaller.jpg": _photo(3).resize((128, 128)),
        "part.png": _photo(4).crop((37, 21, 157, 149)),
    }
    pictures = {f"{seed}.png": _photo(seed) for seed in range(6)}
    good = _surveyed(tmp_path / "p", pictures | again)
    assert _groups(good) == [[f"{seed}.png", name] for seed, name in enumerate(again)]
    assert all(len(look.runs) > 10 for look in _looks(good))


def test_plain_pictures_do_not_belong_together(tmp_path: Path) -> None:
    """A white margin, black bars, a plain sky are no reason."""
    pictures = {}
    for seed in range(3):
        page = np.full((SIDE, SIDE, 3), 255, np.uint8)
        page[60 * seed : 60 * seed + 60] = np.asarray(_photo(seed))[:60]
        pictures[f"{seed}.png"] = Image.fromarray(page)
    assert _groups(_surveyed(tmp_path / "p", pictures)) == []
    flat = np.zeros((16, 16, 3), np.float32)
    looks = [Look(flat + light, np.empty(0, np.uint64)) for light in (0.0, 0.5, 1.0)]
    assert groups_of(looks) == [[0], [1], [2]]


def test_parts_are_held_out_together_whatever_the_seed(tmp_path: Path) -> None:
    pictures = {f"{seed}.png": _photo(seed) for seed in range(4)}
    for number, corner in enumerate(((0, 0), (40, 0), (0, 40), (40, 40))):
        box = (*corner, corner[0] + 128, corner[1] + 128)
        pictures[f"part{number}.png"] = _photo(9).crop(box)
    good = _surveyed(tmp_path / "p", pictures)
    sides = set()
    for seed in range(8):
        parts = split(good, [], 0.25, seed)
        held = [each.name for each in parts.held_out if each.name.startswith("part")]
        assert len(held) in {0, 4}
        assert (parts.alike, parts.is_fair) == (4, True)
        sides.add(len(held))
    assert sides == {0, 4}


def test_where_all_show_the_same_it_is_said(tmp_path: Path) -> None:
    boxes = [(8 * number, 0, 8 * number + 128, 128) for number in range(6)]
    good = _surveyed(tmp_path / "p", {f"{box[0]}.png": _photo(9).crop(box) for box in boxes})
    parts = split(good, [], 0.1, 0)
    assert (len(parts.held_out), len(parts.learn), parts.is_fair) == (1, 5, False)
