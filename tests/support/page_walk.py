"""A walk through the console's page in headless Chromium: a script of tests/console that node runs.

process = begin_walk(console, storage=True)     # the script page_check.mjs; what to do is its task
found = end_walk(process)                       # {"result": …, "said": what the browser's console said}
"""

import json
import subprocess
from collections.abc import Iterator
from typing import IO, Any

import pytest

from tests.conftest import ROOT
from tests.io.test_chromium import CHROMIUM
from tests.support.console_server import ConsoleServer
from tests.support.gateway_npm import npm_packages

BROWSER = ("playwright-core@1.65.1", "axe-core@4.14.1")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="needs Chromium (Debian: apt-get install chromium)"
)


def begin_walk(
    console: ConsoleServer, *, script: str = "page_check.mjs", **more: Any
) -> subprocess.Popen[str]:
    """Start it; more: members of its task."""
    task = {"modules": str(npm_packages(*BROWSER)), "chromium": CHROMIUM, "url": console.url, **more}
    command = ["node", str(ROOT / "tests" / "console" / script), json.dumps(task)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def told_by(stream: IO[str] | None) -> Iterator[str]:
    """The lines that a walk prints on its way."""
    assert stream is not None
    yield from (line.strip() for line in stream)


def end_walk(process: subprocess.Popen[str], seconds: float = 180) -> dict[str, Any]:
    """What it found, once it is over."""
    out, error = process.communicate(timeout=seconds)
    assert process.returncode == 0, error
    return dict(json.loads(out.splitlines()[-1]))
