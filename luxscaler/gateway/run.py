"""A prediction or training as a value; store.py stores it, runner.py runs it, serialize.py shows it."""

from dataclasses import dataclass, field
from typing import Any, Literal

from luxscaler.cog.messages import Json, RunKind
from luxscaler.cog.status import Status

Event = Literal["start", "output", "logs", "completed"]

EVENTS: tuple[Event, ...] = ("start", "output", "logs", "completed")


@dataclass(frozen=True)
class Run:
    """One prediction or training at one moment."""

    id: str
    model: str
    version: str
    input: Json
    created_at: float
    """All times are seconds since 1970."""
    status: Status = Status.STARTING
    output: Any = None
    error: str | None = None
    logs: str = ""
    metrics: Json = field(default_factory=dict)
    """What Cog measured; total_time is computed when it is shown."""
    started_at: float | None = None
    completed_at: float | None = None
    deadline: float | None = None
    webhook: str = ""
    events: tuple[Event, ...] = EVENTS
    container: str = ""
    """The Cog container that it was given to; empty while it waits."""
    data_removed: bool = False
    kind: RunKind = "predictions"
    destination: str = ""
    """owner/name of the model that a training is for."""
    sequence: int = 0
    """Its place in the order of creation, from 1."""

    @property
    def noun(self) -> str:
        """The word "prediction" or "training", for messages."""
        return self.kind.removesuffix("s")

    @property
    def is_over(self) -> bool:
        """Whether its status is final."""
        return self.status.is_over
