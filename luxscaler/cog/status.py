"""The words that Cog and Replicate use for the state of a container and of a prediction."""

from enum import StrEnum


class Health(StrEnum):
    """What a container's health check says."""

    UNKNOWN = "UNKNOWN"
    """Also any word that is not in this list."""
    STARTING = "STARTING"
    """Its setup runs."""
    READY = "READY"
    BUSY = "BUSY"
    SETUP_FAILED = "SETUP_FAILED"
    DEFUNCT = "DEFUNCT"
    """Its worker has crashed, for good."""
    UNHEALTHY = "UNHEALTHY"
    UNREACHABLE = "UNREACHABLE"
    """Ours: nothing answers, or what answers is no Cog server."""

    @classmethod
    def _missing_(cls, _value: object) -> "Health":
        return cls.UNKNOWN


class Status(StrEnum):
    """The state of a prediction."""

    STARTING = "starting"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    ABORTED = "aborted"
    """Replicate's API only: its deadline came before it had begun."""

    @property
    def is_over(self) -> bool:
        """Whether it is final."""
        return self not in (Status.STARTING, Status.PROCESSING)
