"""Reads from a run's logs how far it is: stage, step and the time that is left.

Trainers print `NN%|bar| step/steps [elapsed<left, …]`, as tqdm does, or, as ours, `[…, 12 s left]`; the
newest such line counts.
"""

import re
from dataclasses import dataclass

_LINE = re.compile(
    r"^\s*(\d{1,3})%\s*\|[^|\n]*\|\s*(\d{1,9})/(\d{1,9})"
    r"(?:\s*\[(?:[\d:]+<([\d:?]+)|[^\]\n]*?(\d{1,9}) s left))?",
    re.MULTILINE,
)
_STAGE = re.compile(r"^\s*(?:stage|phase)\s*[:=]\s*(.{1,80})$", re.MULTILINE | re.IGNORECASE)
_TAIL = 20_000
"""Characters at the end of the logs that are searched."""


@dataclass(frozen=True)
class Progress:
    """How far a run is; None where its logs do not say."""

    stage: str = ""
    step: int | None = None
    steps: int | None = None
    eta_seconds: float | None = None


def read_progress(logs: str) -> Progress:
    """The progress in the logs so far. Carriage returns, with which bars redraw themselves, end lines too."""
    tail = logs[-_TAIL:].replace("\r", "\n")
    stages = _STAGE.findall(tail)
    stage = stages[-1].strip() if stages else ""
    found = None
    for found in _LINE.finditer(tail):  # noqa: B007 - the last one
        pass
    if found is None:
        return Progress(stage)
    step, steps = int(found[2]), int(found[3])
    return Progress(stage, step, steps, _seconds(found[4] or found[5] or "?"))


def _seconds(text: str) -> float | None:
    """The seconds in "90", "1:30" or "1:01:30"."""
    total = 0
    for part in text.split(":"):
        if not part.isdigit():
            return None
        total = 60 * total + int(part)
    return float(total)
