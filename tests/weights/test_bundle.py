"""The tar that a training gives, as a container reads it back."""

import base64
from pathlib import Path

import pytest

from luxscaler.errors import InputError, WeightsError
from luxscaler.options import UpscalerOptions
from luxscaler.upscaling.model_cache import TRAINED, Models
from luxscaler.weights.bundle import MODEL, load_bundle, write_bundle
from luxscaler.weights.store import load_network
from tests.support.file_server import file_server
from tests.support.training_files import write_base


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    base = write_base(tmp_path / "base.safetensors")
    write_bundle(tmp_path / "trained.tar", {MODEL: base, "README.md": base})
    return tmp_path / "trained.tar"


def test_a_bundle_loads_from_a_path_and_from_urls(bundle: Path) -> None:
    digest = load_network(bundle.parent / "base.safetensors").digest
    assert load_bundle(str(bundle)).digest == digest
    assert load_bundle(str(bundle.parent / "base.safetensors")).digest == digest
    data = base64.b64encode(bundle.read_bytes()).decode()
    assert load_bundle(f"data:application/x-tar;base64,{data}").digest == digest
    with file_server() as files:
        files.add("trained.tar", bundle.read_bytes())
        assert load_bundle(f"{files.base}trained.tar").digest == digest
        with pytest.raises(WeightsError, match="cannot be fetched"):
            load_bundle(f"{files.base}absent.tar")


def test_what_is_no_bundle_is_an_error(tmp_path: Path, bundle: Path) -> None:
    with pytest.raises(WeightsError, match="no trained weights at 'nowhere'"):
        load_bundle("nowhere")
    (tmp_path / "other").write_bytes(b"text")
    with pytest.raises(WeightsError, match="not a readable safetensors"):
        load_bundle(str(tmp_path / "other"))
    write_bundle(tmp_path / "empty.tar", {"README.md": bundle})
    with pytest.raises(WeightsError, match=r"no tar with model\.safetensors"):
        load_bundle(str(tmp_path / "empty.tar"))


def test_trained_is_a_model_only_where_there_is_one(bundle: Path, tmp_path: Path) -> None:
    options = UpscalerOptions(device="cpu")
    assert Models(options, tmp_path, trained=str(bundle))(TRAINED).native_scale == 4
    with pytest.raises(InputError, match="this version was not made by a training"):
        Models(options, tmp_path)(TRAINED)
    with pytest.raises(InputError, match="it must be one of photo, anime, fast, trained"):
        Models(options, tmp_path, trained=str(bundle))("other")
