"""The cache of numbers: nothing is computed twice, an error loses nothing, a broken file is one line."""

import json
from pathlib import Path

import pytest

from evaluation.cache import Cache
from luxscaler.errors import InputError


def test_what_is_known_is_not_computed_again(tmp_path: Path) -> None:
    path = tmp_path / "cache.json"
    with Cache(path) as cache:
        assert cache.get("a", lambda: 7.5) == 7.5
    assert json.loads(path.read_text()) == {"a": 7.5}
    again = Cache(path)
    assert again.get("a", lambda: pytest.fail("computed again")) == 7.5
    assert "b" not in again
    assert again.take_fresh() == {}


def test_what_another_process_found_is_learned_once_and_written(tmp_path: Path) -> None:
    other = Cache()
    other.get("a", lambda: 1.0)
    with Cache(tmp_path / "cache.json") as cache:
        cache.learn(other.take_fresh())
        assert cache["a"] == 1
    assert other.take_fresh() == {}
    assert "a" in Cache(tmp_path / "cache.json")


def test_an_error_loses_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache.json")
    cache.get("a", lambda: 1.0)
    with pytest.raises(RuntimeError), cache:
        raise RuntimeError
    assert "a" in Cache(tmp_path / "cache.json")


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "cache.json").write_text(text)
    with pytest.raises(InputError, match=r"cache\.json .*delete it"):
        Cache(tmp_path / "cache.json")
