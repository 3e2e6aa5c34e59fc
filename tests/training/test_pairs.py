"""Own pairs: names, sizes and places must fit."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from luxscaler.errors import InputError
from luxscaler.training.pairs import pair_up, shift_between
from luxscaler.training.pictures import survey
from tests.support.training_files import picture


def _pairs(pictures: Path) -> tuple[dict[str, str | None], dict[str, str]]:
    store = pictures.parent / "store"
    good, _ = survey(pictures, store, least_side=64, tell=lambda *_: None)
    paired, rejected = pair_up(good, pictures.parent / "small", store, 4)
    return {each.name: each.small.name if each.small else None for each in paired}, {
        each.name: each.reason for each in rejected
    }


@pytest.fixture
def small(pictures: Path) -> Path:
    folder = pictures.parent / "small"
    folder.mkdir()
    for path in pictures.iterdir():
        image = Image.open(path)
        image.resize((image.width // 4, image.height // 4), Image.Resampling.BICUBIC).save(folder / path.name)
    return folder


def test_pairs_are_found_by_name_whatever_their_suffix(pictures: Path, small: Path) -> None:
    Image.open(small / "p3.png").save(small / "p3.webp", lossless=True)
    (small / "p3.png").unlink()
    paired, rejected = _pairs(pictures)
    assert paired == {**{f"p{n}.png": f"p{n}.png" for n in range(6)}, "p3.png": "p3.webp"}
    assert rejected == {}


def test_what_does_not_fit_is_named_with_its_reason(pictures: Path, small: Path) -> None:
    (small / "p0.png").unlink()
    Image.open(pictures / "p1.png").resize((21, 20)).save(small / "p1.png")
    (small / "p2.png").write_bytes(b"broken")
    shifted = Image.fromarray(np.roll(np.asarray(picture(3)), 1, axis=1))  # by one pixel of the large one
    shifted.resize((20, 20), Image.Resampling.BICUBIC).save(small / "p3.png")
    down = Image.fromarray(np.roll(np.asarray(picture(4)), 8, axis=0))
    down.resize((20, 20), Image.Resampling.BICUBIC).save(small / "p4.png")
    paired, rejected = _pairs(pictures)
    assert paired == {"p5.png": "p5.png"}
    assert "no small picture of that name" in rejected["p0.png"]
    assert rejected["p1.png"].startswith("it is 80 × 80 and its small picture 21 × 20")
    assert rejected["p2.png"].startswith("its small picture p2.png: ")
    assert "shifted by" in rejected["p3.png"]
    assert "shifted by" in rejected["p4.png"]


def test_two_small_pictures_of_one_name_are_an_error(pictures: Path, small: Path) -> None:
    Image.open(small / "p0.png").save(small / "p0.jpg")
    with pytest.raises(InputError, match="have one name"):
        _pairs(pictures)


@pytest.mark.parametrize("shift", [(0, 0), (1, 0), (0, -1), (2, 3), (-9, 6)])
def test_shifts_are_measured_in_large_pixels(shift: tuple[int, int]) -> None:
    right, down = shift
    scene = torch.from_numpy(np.array(picture(2, 320), np.float32)).permute(2, 0, 1)[None] / 255
    generator = torch.Generator().manual_seed(1)
    texture = F.interpolate(torch.rand((1, 3, 60, 60), generator=generator), (320, 320), mode="bicubic")
    scene = (0.5 * scene + 0.5 * texture)[:, :, :300, :300]
    large = scene[:, :, 20:276, 20:276]
    moved = scene[:, :, 20 - down : 276 - down, 20 - right : 276 - right]
    small = F.interpolate(moved, (64, 64), mode="bicubic", antialias=True)
    measured = shift_between(small, large, 4)
    assert measured == pytest.approx((right, down), abs=0.4)


def test_a_flat_picture_has_no_shift() -> None:
    assert shift_between(torch.full((1, 3, 20, 20), 0.5), torch.full((1, 3, 80, 80), 0.5), 4) == (0.0, 0.0)
