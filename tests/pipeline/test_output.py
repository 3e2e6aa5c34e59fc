"""What cannot be written is known before the work."""

from pathlib import Path

import pytest

from luxscaler.errors import ExportError
from luxscaler.io.options import ExportOptions
from luxscaler.pipeline.output import OutputFile, check_output


def target(path: Path, file_format: str = "exr", side: int = 90) -> OutputFile:
    return OutputFile(
        path, side, side, has_alpha=False, file_format=file_format, options=ExportOptions(), metadata={}
    )


def test_what_cannot_be_written_is_known_before_the_work(tmp_path: Path) -> None:
    check_output(target(tmp_path / "a.exr"))
    check_output(target(tmp_path / "a.exr", "exr", 30_000))
    for wrong, reason in (
        (target(tmp_path), "it is a directory"),
        (target(tmp_path / "none" / "a.exr"), "the folder does not exist"),
        (target(tmp_path / "a.jpg", "jpg", 40_000), "1,600,000,000 pixels .* choose .*exr"),
    ):
        with pytest.raises(ExportError, match=reason) as caught:
            check_output(wrong)
        assert "\n" not in str(caught.value)
