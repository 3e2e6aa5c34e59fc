"""What is published for a file, and publishing to a folder."""

import os
from pathlib import Path

import pytest

from luxscaler.errors import InputError, PublishError
from luxscaler.publishing.destinations import FolderDestination
from luxscaler.publishing.package import packaged
from luxscaler.publishing.publish import check, publish
from luxscaler.weights.bundle import write_bundle
from tests.support.published import write_trained


def test_a_tar_is_published_as_the_files_in_it(tmp_path: Path) -> None:
    model = write_trained(tmp_path)
    card = tmp_path / "mine.train" / "card.md"
    bundle = tmp_path / "weights.bin"
    write_bundle(bundle, {"model.safetensors": model, "README.md": card, "samples/0000006.png": card})
    with packaged(bundle, "july") as package:
        assert package.name == "july"
        assert set(package.files) == {"model.safetensors", "README.md", "samples/0000006.png"}
        assert package.files["model.safetensors"].read_bytes() == model.read_bytes()
        assert package.facts["base"] == "photo"
        folder = package.files["README.md"].parent
    assert not folder.exists()


def test_a_network_without_a_training_and_any_other_file_go_alone(tmp_path: Path) -> None:
    model = write_trained(tmp_path)
    alone = model.rename(tmp_path / "alone.safetensors")
    master = tmp_path / "master.exr"
    master.write_bytes(b"v/1\x01")
    for path in (alone, master):
        with packaged(path) as package:
            assert dict(package.files) == {path.name: path}


def test_what_an_older_or_a_failed_training_left_does_not_go_with_a_model(tmp_path: Path) -> None:
    model = write_trained(tmp_path, method="full")
    with packaged(model) as package:
        assert "mine.adapter.safetensors" not in package.files
        assert "report.html" in package.files
    (tmp_path / "mine.train" / "card.md").unlink()
    with packaged(model) as package:
        assert set(package.files) == {"mine.safetensors"}


def test_absent_and_damaged_files_are_refused(tmp_path: Path) -> None:
    model = write_trained(tmp_path)
    cut, text = tmp_path / "cut.safetensors", tmp_path / "text.safetensors"
    cut.write_bytes(model.read_bytes()[:-1])
    text.write_text("no weights")
    for path, said in ((tmp_path / "none.safetensors", "no such file"), (cut, "damaged"), (text, "damaged")):
        with pytest.raises(InputError, match=said), packaged(path):
            pass


def test_a_hostile_tar_is_refused(tmp_path: Path) -> None:
    bundle = tmp_path / "trained.tar"
    write_bundle(bundle, {"../out.safetensors": write_trained(tmp_path)})
    with pytest.raises(InputError, match="leads out of it"), packaged(bundle):
        pass
    assert not (tmp_path.parent / "out.safetensors").exists()


def test_a_folder_gets_a_folder_of_the_models_name(tmp_path: Path) -> None:
    target = tmp_path / "shelf"
    model = write_trained(tmp_path)
    check(FolderDestination(target))
    (target / "README.md").write_text("somebody else's")
    with packaged(model) as package:
        assert publish(package, FolderDestination(target)) == str(target / "mine")
        publish(package, FolderDestination(target))
    assert (target / "README.md").read_text() == "somebody else's"
    assert (target / "mine" / "mine.safetensors").read_bytes() == model.read_bytes()
    assert (target / "mine" / "samples" / "0000006.png").is_file()
    assert not [path for path in target.rglob("*") if "partial" in path.name]


def test_a_folder_that_cannot_be_made_is_refused_before(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PublishError, match="cannot make the folder"):
        check(FolderDestination(tmp_path / "file" / "shelf"))


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    model = write_trained(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    with packaged(model) as package, pytest.raises(PublishError, match="No space left on device"):
        publish(package, FolderDestination(tmp_path / "shelf"))
    assert not [path for path in (tmp_path / "shelf").rglob("*") if path.is_file()]
