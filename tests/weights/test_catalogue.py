"""The catalogue: complete, consistent with the folder's README, and refused when malformed."""

import json
from pathlib import Path

import pytest

from luxscaler.errors import WeightsError
from luxscaler.networks.rrdb import RRDBNetConfig
from luxscaler.networks.srvgg import SRVGGConfig
from luxscaler.weights.catalogue import CATALOGUE, ReleaseSource, WheelSource, load_catalogue


def test_the_catalogue_that_comes_with_the_package() -> None:
    photo, anime, fast = load_catalogue()
    assert [entry.name for entry in (photo, anime, fast)] == ["photo", "anime", "fast"]
    assert photo.config == RRDBNetConfig()
    assert anime.config == RRDBNetConfig(blocks=6)
    assert fast.config == SRVGGConfig()
    for entry in (photo, anime, fast):
        release, wheel = entry.sources
        assert isinstance(release, ReleaseSource)
        assert isinstance(wheel, WheelSource)
        assert release.url.endswith(f"/{release.file.name}")
        assert Path(release.file.name).stem == Path(wheel.file.name).stem
        assert (entry.scale, entry.licence) == (4, "BSD-3-Clause")


def test_no_two_files_have_one_name() -> None:
    names = [source.file.name for entry in load_catalogue() for source in entry.sources]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "change",
    [
        lambda photo: photo.pop("licence"),
        lambda photo: photo.update(architecture="other"),
        lambda photo: photo["config"].update(size=3),
        lambda photo: photo["sources"][0].update(kind="other"),
        lambda photo: photo["sources"][0]["file"].update(sha256="4FA0"),
        lambda photo: photo["sources"][1].update(wheel="other"),
        lambda photo: photo.update(sources=3),
    ],
)
def test_a_malformed_catalogue_is_refused(tmp_path: Path, change: object) -> None:
    assert callable(change)
    content = json.loads(CATALOGUE.read_text())
    change(content["weights"]["photo"])
    path = tmp_path / "catalogue.json"
    path.write_text(json.dumps(content))
    with pytest.raises(WeightsError, match=f"{path} is malformed"):
        load_catalogue(path)


def test_a_missing_catalogue_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"cannot read the catalogue .*absent.json"):
        load_catalogue(tmp_path / "absent.json")
