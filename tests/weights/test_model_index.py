"""OpenModelDB's index: what is read of it, found in it, and which addresses give a file."""

import json
from typing import Any

import pytest

from luxscaler.errors import WeightsError
from luxscaler.weights.model_index import Model, direct_url, find, parse_index, search

FILE = {
    "platform": "pytorch",
    "type": "pth",
    "size": 66961958,
    "sha256": "A5" * 32,
    "urls": ["https://github.com/somebody/models/releases/download/v1/4x-Sharp.pth"],
}


def entry(**changes: Any) -> dict[str, Any]:
    """An entry in the form that is published."""
    plain = {
        "name": "Sharp",
        "author": "somebody",
        "license": "CC-BY-NC-SA-4.0",
        "tags": ["anime"],
        "description": "Two\nlines",
        "date": "2024-07-09",
        "architecture": "esrgan",
        "size": ["64nf"],
        "scale": 4,
        "inputChannels": 3,
        "outputChannels": 3,
        "resources": [FILE],
        "images": [],
    }
    return plain | changes


def one(**changes: Any) -> Model:
    return parse_index(json.dumps({"4x-Sharp": entry(**changes)}).encode())[0]


def test_an_entry_as_it_is_published() -> None:
    model = one()
    assert (model.id, model.name, model.authors, model.scale) == ("4x-Sharp", "Sharp", ("somebody",), 4)
    assert (model.licence, model.is_free) == ("CC-BY-NC-SA-4.0", False)
    assert model.description == "Two lines"
    assert model.files[0].sha256 == "a5" * 32
    assert model.files[0].direct_urls == tuple(FILE["urls"])  # type: ignore[arg-type]
    assert model.hosts == ("github.com",)


def test_safetensors_come_first_and_other_platforms_not_at_all() -> None:
    kinds = [FILE, FILE | {"type": "safetensors"}, FILE | {"type": "onnx", "platform": "onnx"}]
    assert [file.kind for file in one(resources=kinds).files] == ["safetensors", "pth"]


@pytest.mark.parametrize(
    ("licence", "is_free", "words"),
    [
        ("MIT", True, "MIT"),
        ("CC-BY-4.0", True, "CC-BY-4.0"),
        ("CC-BY-NC-4.0", False, "CC-BY-NC-4.0 (no commercial use)"),
        ("PolyForm-Noncommercial-1.0.0", False, "PolyForm-Noncommercial-1.0.0 (no commercial use)"),
        ("NCSA", True, "NCSA"),
        (None, False, "none stated: by law nothing is allowed, ask the author"),
    ],
)
def test_licences(licence: str | None, is_free: bool, words: str) -> None:
    model = one(license=licence)
    assert (model.is_free, model.licence_words) == (is_free, words)


@pytest.mark.parametrize(
    ("url", "direct"),
    [
        ("https://objectstorage.example.com/4x.pth", "https://objectstorage.example.com/4x.pth"),
        ("https://github.com/a/b/blob/main/4x.pth", "https://github.com/a/b/raw/main/4x.pth"),
        ("https://huggingface.co/a/b/blob/main/4x.pth", "https://huggingface.co/a/b/resolve/main/4x.pth"),
        ("https://mega.nz/folder/qZR#key", ""),
        ("https://drive.google.com/file/d/1Db/view", ""),
        ("https://www.mediafire.com/file/x", ""),
        ("https://studio-my.sharepoint.com/x", ""),
        ("https://example.com/4x.zip", ""),
        ("ftp://example.com/4x.pth", ""),
        ("https://[broken/4x.pth", ""),
        ("notmega.nz", ""),
        ("https://notmega.nz/4x.pth", "https://notmega.nz/4x.pth"),
    ],
)
def test_which_addresses_give_the_file(url: str, direct: str) -> None:
    assert direct_url(url) == direct


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<html>", "not JSON"),
        (b"[1]", "not an object of models"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a": 1}', "no entry that can be read"),
    ],
)
def test_what_is_no_index_is_an_error(data: bytes, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        parse_index(data)


@pytest.mark.parametrize("name", ["../4x-Evil", "4x/Evil", "", ".hidden", "4x-" + "a" * 200, "4x Evil"])
def test_ids_that_are_no_names_of_files_are_left_out(name: str) -> None:
    found = parse_index(json.dumps({name: entry(), "4x-Good": entry()}).encode())
    assert [model.id for model in found] == ["4x-Good"]


def test_words_that_a_terminal_would_obey_are_not_shown() -> None:
    model = one(name="\x1b[31mred", author=["a\x07", 3, None], license="MIT\x1b]0;x")
    assert (model.name, model.authors, model.licence) == ("?[31mred", ("a?",), "MIT?]0;x")


def test_search() -> None:
    known = parse_index(
        json.dumps(
            {
                "4x-B": entry(),
                "1x-A": entry(scale=1, architecture="Real-PLKSR", tags=["jpeg"]),
                "4x-C": entry(author="zoe"),
            }
        ).encode()
    )
    assert [model.id for model in search(known)] == ["1x-A", "4x-B", "4x-C"]
    assert [model.id for model in search(known, ["ANIME", "4x"])] == ["4x-B", "4x-C"]
    assert [model.id for model in search(known, ["zoe"])] == ["4x-C"]
    assert [model.id for model in search(known, scale=1)] == ["1x-A"]
    assert [model.id for model in search(known, architecture="realplksr")] == ["1x-A"]


def test_find() -> None:
    known = parse_index(json.dumps({f"{n}x-Sharp": entry(name="Sharp", scale=n) for n in (2, 4)}).encode())
    assert find(known, "4X-SHARP").id == "4x-Sharp"
    with pytest.raises(WeightsError, match="'sharp' is the name of several models: 2x-Sharp, 4x-Sharp"):
        find(known, "sharp")
    with pytest.raises(WeightsError, match=r"no model called '4x-Shrap' in the index; there are .*4x-Sharp"):
        find(known, "4x-Shrap")
