"""The table of docs/console.md that maps the guide to tests: each test that it names is there."""

import ast
import re
from pathlib import Path

from luxscaler.console.provider_settings import ProviderSettings
from tests.conftest import ROOT

HERE = Path(__file__).parent


def _rows() -> list[str]:
    text = (ROOT / "docs" / "console.md").read_text("utf-8").split("## What the guide says")[1]
    return [line for line in text.splitlines() if line.startswith("| ")][2:]


def _tests(name: str) -> set[str]:
    tree = ast.parse((HERE / name).read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_row_of_the_guide_names_tests_that_are_there() -> None:
    rows = _rows()
    assert len(rows) > 35
    for row in rows:
        cell = row.split("|")[2]
        named = re.findall(r"(test_\w+\.py): ((?:`\w+`(?:, )?)+)", cell)
        assert named or "no test" in cell or "the table above" in cell, row
        for file, tests in named:
            assert set(re.findall(r"`(\w+)`", tests)) <= _tests(file), row


def test_the_pictures_go_to_the_input_that_the_trainer_has() -> None:
    function = next(
        node
        for node in ast.parse((ROOT / "train.py").read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef)
    )
    assert function.args.args[0].arg == ProviderSettings().training_input
    inputs = {argument.arg for argument in function.args.args}
    page = (ROOT / "luxscaler" / "console" / "page" / "train.js").read_text("utf-8")
    sent = set(re.findall(r'"(\w+)"', page.split("const TEXTS")[1].split("const SHARE")[0]))
    assert sent | {"max_minutes", "pictures"} == inputs
