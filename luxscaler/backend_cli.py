"""Which backend a command line asks for. It imports a backend only once it is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from luxscaler.errors import InputError

if TYPE_CHECKING:
    from luxscaler.backends.base import Backend
    from luxscaler.upscaler import UpscalerOptions

BACKENDS = ("local", "cog", "replicate", "ray")


@dataclass(frozen=True)
class BackendChoice:
    """The options and variables of the environment that choose a backend."""

    name: str
    upscaler: "UpscalerOptions"
    """For the network, where it runs on our own machines."""
    cog_urls: tuple[str, ...] = ()
    model_version: str = ""
    token: str = ""
    base_url: str = ""
    hardware: str = ""
    price: float | None = None
    max_cost: float | None = None
    pay_again: bool = False
    ray_address: str = ""

    def __repr__(self) -> str:
        """Without the token: it must get into no log."""
        return f"BackendChoice({self.name!r})"


def make_backend(choice: BackendChoice, progress: Callable[[int, float], None]) -> "Backend":
    """The backend; `progress` hears a tile's number and its share done, where the backend can tell."""
    if choice.name not in BACKENDS:
        raise InputError(f"backend is {choice.name!r}; it must be one of {', '.join(BACKENDS)}")
    makers = {"local": _local, "cog": _cog}
    return makers[choice.name](choice, progress)


def _local(choice: BackendChoice, progress: Callable[[int, float], None]) -> "Backend":
    from luxscaler.backends.local import LocalBackend  # noqa: PLC0415
    from luxscaler.models import Models  # noqa: PLC0415

    return LocalBackend(Models(choice.upscaler, own_checkpoints=True), progress)


def _cog(choice: BackendChoice, _progress: Callable[[int, float], None]) -> "Backend":
    from luxscaler.backends.cog import CogBackend  # noqa: PLC0415

    return CogBackend(choice.cog_urls)
