"""Workers that report less give the same result."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

CONFTEST = """
from tests.support.short_reports import ShortReports

def pytest_configure(config):
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(ShortReports())
"""
TESTS = """
import pytest

@pytest.fixture
def broken_before():
    raise ValueError("before")

@pytest.fixture
def broken_after():
    yield
    raise ValueError("after")

def test_passes(): pass
def test_fails(): assert False
def test_is_skipped(): pytest.skip("why")
@pytest.mark.xfail
def test_is_expected_to_fail(): assert False
def test_setup(broken_before): pass
def test_teardown(broken_after): pass
"""


@pytest.mark.slow
def test_whatever_goes_wrong_is_reported(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_some.py").write_text(TESTS)
    options = ["-n2", "-pno:cacheprovider", f"--rootdir={tmp_path}", str(tmp_path)]
    command = [sys.executable, "-m", "pytest", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    counts = set(re.findall(r"\d+ [a-z]+", done.stdout.splitlines()[-1]))
    assert counts == {"1 failed", "2 passed", "1 skipped", "1 xfailed", "2 errors"}, done.stdout
    assert "ValueError: before" in done.stdout
    assert "ValueError: after" in done.stdout
