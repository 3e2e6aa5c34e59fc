"""Threads that wait for one another sleep soon, unless the user has chosen how they wait."""

import ast
from pathlib import Path

import pytest

from luxscaler.spinning import ROUNDS, spin_briefly

ROOT = Path(__file__).resolve().parent.parent


def test_the_count_is_set_where_nothing_is_chosen() -> None:
    environ = {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": ""}
    spin_briefly(environ)
    assert environ["GOMP_SPINCOUNT"] == ROUNDS


@pytest.mark.parametrize(("name", "value"), [("GOMP_SPINCOUNT", "infinity"), ("OMP_WAIT_POLICY", "active")])
def test_what_the_user_has_chosen_stays(name: str, value: str) -> None:
    environ = {name: value}
    spin_briefly(environ)
    assert environ == {name: value}


@pytest.mark.parametrize("entry", ["predict.py", "train.py"])
def test_the_containers_entries_choose_before_anything_of_ours_is_imported(entry: str) -> None:
    body = ast.parse((ROOT / entry).read_text(encoding="utf-8")).body
    texts = [ast.unparse(node) for node in body]
    chosen = texts.index("spin_briefly()")
    before = [text for text in texts[:chosen] if "luxscaler" in text and "import" in text]
    assert before[-1:] == ["from luxscaler.spinning import spin_briefly"]
    assert any(text.startswith("from luxscaler.") for text in texts[chosen:])
