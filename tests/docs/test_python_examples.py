"""The examples of docs/python.md run as they stand, each alone, in a folder that holds in.png."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, SAMPLE

EXAMPLES = re.findall(
    r"^```python\n(.*?)^```$", (ROOT / "docs" / "python.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 6


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example(number: int, real_weights: Path, tmp_path: Path) -> None:
    shutil.copy(SAMPLE / "tile.png", tmp_path / "in.png")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LUXSCALER_WEIGHTS": str(real_weights)}
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:luxscaler", "-c", EXAMPLES[number]],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
