"""What is in a folder: good pictures, and every other file with its reason."""

import os
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from PIL import Image

from luxscaler.errors import InputError, TrainingError
from luxscaler.training.pictures import CODES, MIN_TO_LEARN, Rejected, TrainingPicture, split, survey
from tests.support.training_files import picture


def _survey(folder: Path, least_side: int = 64) -> tuple[list[TrainingPicture], dict[str, str]]:
    good, rejected = survey(folder, folder.parent / "store", least_side=least_side, tell=lambda *_: None)
    return good, {each.name: each.reason for each in rejected}


def test_every_file_that_cannot_serve_is_named_with_its_reason(pictures: Path) -> None:
    (pictures / "broken.jpg").write_bytes(b"\xff\xd8\xff no jpeg")
    (pictures / "notes.txt").write_text("no picture")
    (pictures / "empty.png").write_bytes(b"")
    picture(50, 40).save(pictures / "small.png")
    (pictures / "zz-copy.png").write_bytes((pictures / "p0.png").read_bytes())
    picture(1).save(pictures / "zz-again.webp", lossless=True)
    Image.fromarray(np.full((80, 80, 4), 100, np.uint8)).save(pictures / "glass.png")
    (pictures / ".hidden").write_text("not looked at")
    (pictures / "sub").mkdir()
    picture(7).save(pictures / "sub" / "deep.png")
    good, rejected = _survey(pictures)
    assert [each.name for each in good] == [*(f"p{n}.png" for n in range(6)), "sub/deep.png"]
    assert set(rejected) == {
        *("broken.jpg", "notes.txt", "empty.png", "small.png", "zz-copy.png", "zz-again.webp", "glass.png"),
    }
    assert rejected["small.png"] == "it is 40 × 40; a crop takes 64 × 64 pixels"
    assert rejected["zz-copy.png"] == "it is the same picture as p0.png"
    assert rejected["zz-again.webp"] == "it is the same picture as p1.png"
    assert "transparent" in rejected["glass.png"]
    assert all(reason and "\n" not in reason for reason in rejected.values())


def test_links_are_followed_once_and_named_where_they_lead_nowhere(pictures: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    picture(11).save(elsewhere / "far.png")
    (elsewhere / "back").symlink_to(pictures)
    (pictures / "linked").symlink_to(elsewhere)
    (pictures / "round").symlink_to(pictures)
    (pictures / "nowhere.png").symlink_to(tmp_path / "absent.png")
    good, rejected = _survey(pictures)
    assert [each.name for each in good] == ["linked/far.png", *(f"p{n}.png" for n in range(6))]
    assert rejected == {"nowhere.png": "cannot be read: No such file or directory"}


def test_names_of_any_bytes_are_one_line_of_text(pictures: Path) -> None:
    for seed, name in ((21, b"caf\xe9.png"), (22, b"two\nlines.png")):
        with Path(os.fsdecode(os.fsencode(pictures) + b"/" + name)).open("wb") as file:
            picture(seed).save(file, "PNG")
    good, _ = _survey(pictures)
    names = [each.name for each in good]
    assert {r"caf\udce9.png", r"two\nlines.png"} < set(names)
    assert "\n".join(names).encode().count(b"\n") == len(names) - 1


def test_stored_pixels_that_were_cut_short_are_stored_again(pictures: Path) -> None:
    before = _survey(pictures)[0][0]
    whole = before.region(0, 0, 80, 80)
    for length in (0, 50, 500):
        before.pixels.write_bytes(before.pixels.read_bytes()[:length])
        np.testing.assert_array_equal(_survey(pictures)[0][0].region(0, 0, 80, 80), whole)


def test_pixels_are_stored_as_codes_or_as_light(pictures: Path) -> None:
    light = np.random.default_rng(1).random((70, 90, 3), np.float32) * 6
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {"RGB": light}).write(str(pictures / "hdr.exr"))
    good, _ = _survey(pictures)
    hdr, sdr = good[0], good[1]
    assert (hdr.name, hdr.is_hdr, hdr.width, hdr.height) == ("hdr.exr", True, 90, 70)
    np.testing.assert_array_equal(hdr.region(5, 7, 20, 30), light[5:25, 7:37])
    assert not sdr.is_hdr
    expected = np.asarray(Image.open(pictures / sdr.name))[3:9, 2:7] / 255
    np.testing.assert_allclose(sdr.region(3, 2, 6, 5) / CODES, expected, atol=2e-5)


def test_no_folder_and_no_files_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        _survey(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no file"):
        _survey(tmp_path / "empty")


def test_too_few_pictures_stop_with_the_reasons(pictures: Path) -> None:
    good, _ = _survey(pictures)
    with pytest.raises(
        TrainingError, match=r"^only 3 of 4 pictures can be used.*at least 4.*a\.png: it is bad"
    ):
        split(good[:3], [Rejected("a.png", "it is bad")], 0.1, 0)
    enough = split(good[: MIN_TO_LEARN + 1], [], 0.1, 0)
    assert (len(enough.learn), len(enough.held_out)) == (MIN_TO_LEARN, 1)


def test_the_seed_chooses_who_is_held_out(pictures: Path) -> None:
    good, _ = _survey(pictures)
    held = [split(good, [], 0.2, seed).held_out[0].name for seed in range(8)]
    assert held == [split(good, [], 0.2, seed).held_out[0].name for seed in range(8)]
    assert len(set(held)) > 1
    parts = split(good, [], 0.3, 0)
    assert len(parts.held_out) == 2
    assert not {each.name for each in parts.held_out} & {each.name for each in parts.learn}
