"""Pickles of strangers: what is useless is left out, what is no checkpoint is said, nothing fills memory."""

import io
import zipfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from luxscaler.errors import WeightsError
from luxscaler.weights.checkpoint import MAX_PARAMETERS, read_tensors
from luxscaler.weights.pickled import MAX_CONTENT_BYTES, read_pickle

STATE = {"conv.weight": torch.ones(2, 3)}


def saved(content: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def test_settings_are_left_out_and_never_made() -> None:
    content = read_pickle(saved({**STATE, "args": Namespace(run=1), "folder": Path("x")}))
    assert not isinstance(content["args"], Namespace)
    assert not vars(content["args"])
    assert read_tensors(saved({**STATE, "args": Namespace(run=1)}), ".ckpt").keys() == STATE.keys()


def test_tensors_of_a_graphics_card_come_to_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.serialization.location_tag", lambda _storage: "cuda:3")
    files = [saved(STATE, _use_new_zipfile_serialization=new) for new in (True, False)]
    assert all(b"cuda:3" in data for data in files)
    for data in files:
        assert torch.equal(read_tensors(data, ".pth")["conv.weight"], STATE["conv.weight"])


def test_the_content_decides_which_of_the_two_kinds_it_is() -> None:
    tensors = safetensors.torch.save(STATE)
    assert read_tensors(tensors, ".pth").keys() == read_tensors(saved(STATE), ".safetensors").keys()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\n<!DOCTYPE html><html>", "the file is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "pointer of Git LFS"),
        (b"\x1f\x8b\x08\x00", "a packed archive"),
        (saved(STATE)[:-30], "ends too early: it was not copied or fetched in full"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_is_saved_in_place_of_a_model_is_said(data: bytes, message: str, suffix: str) -> None:
    with pytest.raises(WeightsError, match=message):
        read_tensors(data, suffix)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_code_is_named() -> None:
    with pytest.raises(WeightsError, match=r"asks to run code \(torch\.nn\.modules\.[a-z.]+Linear\)"):
        read_pickle(saved(torch.nn.Linear(1, 1)))
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), buffer)
    with pytest.raises(WeightsError, match="a TorchScript program, not a checkpoint"):
        read_pickle(buffer.getvalue())


def test_a_small_file_of_far_more_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    side = int(MAX_PARAMETERS**0.5) + 1
    with pytest.raises(
        WeightsError, match=r"^checkpoint has 1,07\d,\d+,\d+ numbers, more than 1,073,741,824$"
    ):
        read_tensors(saved({"a.weight": torch.zeros(1).expand(side, side)}), ".pth")
    assert MAX_CONTENT_BYTES == 2**31
    monkeypatch.setattr("luxscaler.weights.pickled.MAX_CONTENT_BYTES", 100_000)
    packed, whole = io.BytesIO(), saved({"a.weight": torch.zeros(50_000)})
    with (
        zipfile.ZipFile(io.BytesIO(whole)) as archive,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as smaller,
    ):
        for name in archive.namelist():
            smaller.writestr(name, archive.read(name))
    assert len(packed.getvalue()) < 10_000
    with pytest.raises(WeightsError, match=r"its content has 20\d,\d+ bytes, more than 100,000"):
        read_pickle(packed.getvalue())
