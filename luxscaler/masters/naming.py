"""Name patterns: how the file of each result is called, e.g. out/{stem}_x{scale}.exr.

Fields are filled in like str.format's, but only names of a closed list are allowed, no attributes or indices.
"""

import os
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from luxscaler.errors import InputError
from luxscaler.io.formats import FORMATS, suffix_of
from luxscaler.masters.finding import Found

FIELDS = ("stem", "name", "ext", "folder", "index", "scale", "model", "hdr_boost")
"""What a name pattern may hold, in braces."""


@dataclass(frozen=True)
class Naming:
    """How results are called. Raises InputError for a pattern that cannot be filled in."""

    pattern: str
    """A path with fields of FIELDS in braces, or the name of one file."""
    file_format: str = ""
    """A format of io/write.py; empty: by the suffix of the pattern."""
    values: Mapping[str, object] | None = None
    """Values of the fields that are the same for all pictures: scale, model, hdr_boost."""

    def __post_init__(self) -> None:
        for field in self.fields():
            if field not in FIELDS:
                known = ", ".join(f"{{{name}}}" for name in FIELDS)
                raise InputError(f"{self.pattern!r} has a field {{{field}}}; known are {known}")
        if self.file_format and self.file_format not in FORMATS:
            raise InputError(f"output_format is {self.file_format!r}; it must be one of {', '.join(FORMATS)}")
        if "ext" in self.fields() and not self.file_format:
            raise InputError(f"{self.pattern!r} asks for {{ext}}: say --format, or a suffix in its place")

    def fields(self) -> list[str]:
        """The fields that the pattern holds."""
        return [field for _, field, _, _ in self._parsed() if field is not None]

    @property
    def folder(self) -> Path:
        """The folder that holds all results, directly or in folders below it."""
        fixed = ""
        for literal, field, _, _ in self._parsed():
            fixed += literal
            if field is not None:
                break
        return Path(fixed + "_").parent

    def path_of(self, found: Found, index: int) -> Path:
        """The file of a picture's result; index: the picture's number, from 1.

        Raises InputError for a field without a value, or one that its value does not fit.
        """
        known = {
            "stem": found.stem,
            "name": "stdin" if found.path is None else found.path.name,
            "ext": suffix_of(self.file_format).removeprefix(".") if self.file_format else "",
            "folder": found.folder.as_posix() if found.folder.parts else ".",
            "index": index,
            **(self.values or {}),
        }
        text = ""
        for literal, field, spec, _ in self._parsed():
            text += literal
            if field is not None:
                try:
                    text += format(known[field], spec or "")
                except KeyError:
                    raise InputError(f"{self.pattern!r}: {{{field}}} has no value here") from None
                except (ValueError, TypeError) as error:
                    raise InputError(
                        f"{self.pattern!r}: {{{field}:{spec}}} cannot be written: {error}"
                    ) from None
        return Path(os.path.normpath(text))

    def _parsed(self) -> list[tuple[str, str | None, str | None, str | None]]:
        try:
            return list(string.Formatter().parse(self.pattern))
        except ValueError as error:
            raise InputError(
                f"{self.pattern!r} is no name pattern: {error}; a brace is written twice: {{{{"
            ) from None


def is_pattern(text: str) -> bool:
    """Whether a name holds fields to be filled in."""
    return "{" in text or "}" in text


def in_folder(folder: str) -> str:
    """The pattern for results in a folder, under the names of their pictures."""
    return f"{folder.replace('{', '{{').replace('}', '}}')}/{{folder}}/{{stem}}.{{ext}}"
