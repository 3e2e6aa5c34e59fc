"""What is put off is loaded when it is used, and not before."""

import sys
from pathlib import Path

import pytest
import torch

from tests.support.deferred import Deferred

NAME = "rarely_used"


@pytest.fixture
def deferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deferred:
    package = tmp_path / NAME
    package.mkdir()
    (package / "__init__.py").write_text("answer = 'real'\nother = 'real'\n")
    (package / "inner.py").write_text("value = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    made = Deferred(NAME, answer="at hand")
    monkeypatch.setitem(sys.modules, NAME, made)
    monkeypatch.delitem(sys.modules, f"{NAME}.inner", raising=False)
    return made


def test_answers_load_nothing(deferred: Deferred) -> None:
    assert deferred.answer == "at hand"
    assert not hasattr(deferred, "__file__")
    assert sys.modules[NAME] is deferred


def test_anything_else_is_the_real_modules(deferred: Deferred) -> None:
    assert deferred.other == "real"
    assert sys.modules[NAME] is not deferred
    assert sys.modules[NAME].answer == "real"
    with pytest.raises(AttributeError, match="nothing"):
        _ = deferred.nothing


def test_modules_within_are_the_real_ones(deferred: Deferred) -> None:
    inner = __import__(f"{NAME}.inner", fromlist=["value"])
    assert inner.value == 3


def test_a_step_of_an_optimizer_needs_no_compiler() -> None:
    before = sys.modules.get("torch._dynamo")
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=0.5)
    weight.grad = torch.ones(2)
    optimizer.step()
    optimizer.zero_grad()
    torch.testing.assert_close(weight.detach(), torch.full((2,), 0.5))
    assert sys.modules.get("torch._dynamo") is before
