"""Refuses pins that are known to have a hole, by the dated list beside this file. No network is asked.

python .ci/pins.py [FILE...]        by default all requirements*.txt and requirements.lock
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
ADVISORIES = Path(__file__).with_name("advisories.json")
_PIN = re.compile(r"([A-Za-z0-9._-]+)==([^\s;#]+)")


def pins(file: Path) -> Iterator[tuple[str, str]]:
    """Name and version of each pin in a file of requirements."""
    for line in file.read_text(encoding="utf-8").splitlines():
        found = _PIN.match(line)
        if found:
            yield canonicalize_name(found[1]), found[2]


def holes(file: Path) -> list[str]:
    """A line for each pin that an advisory names."""
    listed = json.loads(ADVISORIES.read_text(encoding="utf-8"))["advisories"]
    return [
        f"{file.name}: {name}=={version} is affected by {one['id']} ({one['affected']})"
        for name, version in pins(file)
        for one in listed
        if one["package"] == name and SpecifierSet(one["affected"]).contains(version, prereleases=True)
    ]


def main(names: list[str]) -> int:
    """The exit status: 1 if there is a hole."""
    files = [Path(name) for name in names] or [*sorted(ROOT.glob("requirements*.txt")), LOCK]
    found = [line for file in files for line in holes(file)]
    for line in found:
        sys.stderr.write(line + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
