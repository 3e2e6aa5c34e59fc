"""Data URLs made and decoded."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luxscaler.cog.data_urls import (
    Base64Decoder,
    data_url,
    decode_data_url,
    file_as_data_url,
    map_strings,
    suffix_for,
)
from tests.cog.test_reply import DOCUMENTS, plain


@given(st.binary(max_size=40))
def test_what_was_made_is_decoded(data: bytes) -> None:
    assert decode_data_url(data_url("image/png", data)) == data


def test_files_too(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_as_data_url("text/plain", tmp_path / "a") == "data:text/plain;base64,YWJj"


@given(st.binary(max_size=60), st.integers(1, 9))
def test_pieces_may_be_cut_anywhere(data: bytes, step: int) -> None:
    text = data_url("", data).partition(",")[2].encode()
    decoder = Base64Decoder()
    found = b"".join(decoder.feed(text[start : start + step]) for start in range(0, len(text), step))
    assert found + decoder.end() == data


@pytest.mark.parametrize(
    "url",
    [
        "",
        "data:,abc",
        "data:a/b;base64,QUJ",
        "data:a/b;base64,QUJ*",
        "data:a/b;base64,QQ==QUJD",
        "x;base64,QQ==",
    ],
)
def test_damaged_ones_are_errors(url: str) -> None:
    with pytest.raises(ValueError, match="base64"):
        decode_data_url(url)


def test_characters_after_the_end_are_damage_in_later_pieces_too() -> None:
    decoder = Base64Decoder()
    assert decoder.feed(b"QQ==") == b"A"
    with pytest.raises(ValueError, match="after its end"):
        decoder.feed(b"QUJD")


@pytest.mark.parametrize(
    ("content_type", "head", "suffix"),
    [
        ("application/octet-stream", b"v/1\x01", ".exr"),
        ("IMAGE/WEBP", b"RIFF", ".webp"),
        ("", b"", ".txt"),
        ("x/y", b"?", ".bin"),
    ],
)
def test_suffixes_say_what_a_file_is(content_type: str, head: bytes, suffix: str) -> None:
    assert suffix_for(content_type, head) == suffix


@given(DOCUMENTS)
def test_map_strings_changes_strings_and_nothing_else(document: Any) -> None:
    value = plain(document)
    assert map_strings(value, str) == value
