"""The container's training: progress that clients read, and a tar that loads."""

import base64
import io
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from luxscaler.errors import InputError
from luxscaler.training.container import ProgressLines, train_archive
from luxscaler.training.prepare import Progress
from luxscaler.weights.bundle import load_bundle
from luxscaler.weights.store import load_network
from tests.support.training_files import tiny_settings

PATTERN = re.compile(r"^\s*(\d+)%\s*\|.+?\|\s*(\d+)/(\d+)")
"""What the official clients look for in the logs."""


def test_progress_is_what_clients_read_and_at_most_one_a_second() -> None:
    said: list[str] = []
    times = iter((0.0, 0.4, 1.0, 1.1, 1.2))
    lines = ProgressLines(said.append, lambda: next(times))
    for step in (1, 2, 50, 99, 100):
        lines(Progress(step, 100, 0.5, None if step < 50 else 27.5, 12.0))
    found = [PATTERN.match(line) for line in said]
    assert all(found)
    assert [match.groups() for match in found if match] == [
        ("1", "1", "100"),
        ("50", "50", "100"),
        ("100", "100", "100"),
    ]
    assert said[1].endswith("[loss 0.5000, 27.50 dB, 12 s left]")


@pytest.mark.slow
def test_an_archive_becomes_a_tar_of_weights(pictures: Path, base: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        for path in pictures.iterdir():
            opened.write(path, f"some/{path.name}")
    said: list[str] = []
    url = f"data:application/zip;base64,{base64.b64encode(archive.getvalue()).decode()}"
    weights = train_archive(url, tiny_settings(base), say=said.append)
    with tarfile.open(weights) as opened_tar:
        names = opened_tar.getnames()
    assert names[:5] == [
        *("model.safetensors", "adapter.safetensors", "README.md", "report.html", "metrics.jsonl"),
    ]
    assert names[5:] == ["samples/0000003.png", "samples/0000006.png"]
    trained = load_bundle(str(weights))
    assert trained.config == load_network(base).config
    assert trained.digest != load_network(base).digest
    assert any(PATTERN.match(line) for line in said)
    assert any("held-out" in line for line in said)


@pytest.mark.parametrize("url", ["/etc/passwd", "file:///etc/passwd", "http://127.0.0.1:9/x.zip", ""])
def test_paths_and_private_addresses_are_not_fetched(base: Path, url: str) -> None:
    with pytest.raises(InputError, match=r"^pictures cannot be fetched: "):
        train_archive(url, tiny_settings(base))
