"""Which pictures are judged, in which groups, and what a pair's case is."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.pictures import SHIPPED, Source, cases, find, headroom
from evaluation.renderings import RENDERINGS
from luxscaler.errors import InputError
from luxscaler.io.write import export
from tests.evaluation.support import light, write_exr, write_pair


def groups_of(sources: list[Source]) -> dict[str, str]:
    return {source.name: source.group for source in sources}


def test_pairs_panoramas_and_photographs_are_told_apart(tmp_path: Path) -> None:
    write_pair(tmp_path / "mixed", "phone", light(1))
    write_exr(tmp_path / "mixed" / "desk.exr", light(2))
    write_exr(tmp_path / "round" / "sky.EXR", light(3, 20, 40))
    (tmp_path / "round" / "notes.txt").write_text("no picture")
    found = find([str(tmp_path / "round"), str(tmp_path / "mixed")])
    assert groups_of(found) == {"phone": "pairs", "desk.exr": "photographs", "sky.EXR": "panoramas"}
    assert [source.name for source in found] == ["phone", "desk.exr", "sky.EXR"]


def test_most_of_a_folder_decide_for_all_of_it_and_a_path_may_say_otherwise(tmp_path: Path) -> None:
    for name, width in (("a", 40), ("b", 30), ("c", 30)):
        write_exr(tmp_path / "some" / f"{name}.exr", light(1, 20, width))
    some = tmp_path / "some"
    assert set(groups_of(find([str(some)])).values()) == {"photographs"}
    assert set(groups_of(find([f"panoramas={some}"])).values()) == {"panoramas"}
    assert groups_of(find([str(some / "a.exr")])) == {"a.exr": "panoramas"}
    assert groups_of(find([f"photographs={some / 'a.exr'}"])) == {"a.exr": "photographs"}


def test_half_a_pair_an_empty_folder_and_two_of_one_name_are_refused(tmp_path: Path) -> None:
    write_pair(tmp_path / "pairs", "phone", light(1))
    write_exr(tmp_path / "other" / "phone", light(1)).rename(tmp_path / "other" / "x.exr")
    write_exr(tmp_path / "third" / "x.exr", light(1))
    with pytest.raises(InputError, match=r"2 pictures are called x\.exr"):
        find([str(tmp_path / "other"), str(tmp_path / "third")])
    (tmp_path / "pairs" / "phone.sdr.png").unlink()
    with pytest.raises(InputError, match=r"phone\.hdr\.exr has no phone\.sdr"):
        find([str(tmp_path / "pairs")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no picture"):
        find([str(tmp_path / "empty")])


def test_a_pair_has_one_rendering_at_its_own_headroom_and_no_cap(tmp_path: Path) -> None:
    hdr = light(4)
    hdr[10:20, 10:20] = 20
    write_pair(tmp_path, "phone", hdr)
    (case,) = cases(find([str(tmp_path)])[0], 3.0)
    assert case.rendering == SHIPPED
    assert case.boost == pytest.approx(headroom(hdr))
    np.testing.assert_allclose(case.reference, np.maximum(hdr, 0), rtol=1e-3)
    assert case.sdr.min() >= 0
    assert case.sdr.max() == 1


def test_headroom_is_not_set_by_stray_pixels_and_is_at_least_1() -> None:
    picture = np.full((200, 300, 3), 2.0, np.float32)
    picture[0, :5] = 40
    assert headroom(picture) == 2
    assert headroom(np.full((4, 4, 3), 0.5, np.float32)) == 1
    assert headroom(np.full((4, 4, 3), 90, np.float32)) == 49, "no more than hdr_boost goes to"


def test_halves_of_different_sizes_are_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, "phone", light(1))
    write_exr(tmp_path / "phone.hdr.exr", light(1, 10, 12))
    with pytest.raises(InputError, match="32 × 24 and 12 × 10"):
        list(cases(find([str(tmp_path)])[0], 3.0))


def test_other_pictures_have_every_rendering_at_the_boost_given(tmp_path: Path) -> None:
    write_exr(tmp_path / "desk.exr", light(2))
    found = list(cases(find([str(tmp_path)])[0], 3.0))
    assert [case.rendering for case in found] == list(RENDERINGS)
    assert {case.boost for case in found} == {3.0}


def test_a_jpeg_with_a_gain_map_is_a_pair(tmp_path: Path) -> None:
    """The HDR rendering and its headroom as written; the SDR rendering is the base."""
    hdr = np.full((64, 96, 3), 0.2, np.float32)
    hdr[:, 48:] = 4
    export(tmp_path / "phone.jpg", hdr)
    (source,) = find([str(tmp_path)])
    assert (source.name, source.group) == ("phone.jpg", "pairs")
    (case,) = cases(source, 3.0)
    np.testing.assert_allclose(case.reference[:, 56:], 4, rtol=0.05)
    np.testing.assert_allclose(case.reference[:, :40], 0.2, rtol=0.05)
    assert case.boost == pytest.approx(4, rel=0.02)
    assert 0.5 < case.sdr[:, 56:].min() <= case.sdr.max() <= 1


def test_a_jpeg_without_a_gain_map_is_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, "phone", light(1))
    (tmp_path / "phone.hdr.exr").unlink()
    (tmp_path / "phone.sdr.png").rename(tmp_path / "phone.png")
    with Image.open(tmp_path / "phone.png") as image:
        image.save(tmp_path / "phone.jpg")
    (tmp_path / "phone.png").unlink()
    with pytest.raises(InputError, match=r"phone\.jpg holds no gain map"):
        list(cases(find([str(tmp_path)])[0], 3.0))
