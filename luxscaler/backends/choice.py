"""Makes a backend from its name and options. Only the backend that is chosen is imported."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from luxscaler.checks import check_fields, check_type, kind_of
from luxscaler.errors import InputError
from luxscaler.options import UpscalerOptions

if TYPE_CHECKING:
    from luxscaler.backends.base import Backend
    from luxscaler.backends.replicate.session import ReplicateOptions
    from luxscaler.replicate.prices import Estimate
    from luxscaler.tiling.plan import Plan

BACKENDS = ("local", "cog", "replicate", "ray")
CONTAINERS = ("cog", "replicate")
"""Backends that run the container, in which a tile without a reference is its own reference."""
_CONTAINER_SCALE = 4.0
"""The scale of all models in a container, including one that a training made."""


@dataclass(frozen=True)
class BackendOptions:
    """Where tiles run. Options that the named backend has no use for are ignored."""

    name: str = "local"
    """"local", "cog", "replicate" or "ray"."""
    upscaler: UpscalerOptions = UpscalerOptions()
    """For the network, where it runs on our own machines: local and ray."""
    cog_urls: tuple[str, ...] = ()
    """Addresses of Cog containers, e.g. http://127.0.0.1:5000."""
    model_version: str = ""
    """Replicate: OWNER/MODEL:VERSION or a version's id."""
    token: str = ""
    """Replicate: the API token."""
    base_url: str = ""
    """Replicate: another server that speaks its API."""
    hardware: str = ""
    """Replicate: the hardware's name, for the price."""
    price: float | None = None
    """Replicate: dollars a second, over the table's."""
    max_cost: float | None = None
    """Replicate: dollars that the work may cost at most."""
    pay_again: bool = False
    """Replicate: whether to pay for tiles whose results were lost."""
    ray_address: str = ""
    """Ray: host:port of a cluster; empty: one of its own."""
    jobs: int | None = None
    """Replicate: predictions at once."""

    def __post_init__(self) -> None:
        check_fields(self)
        check_type("cog_urls", self.cog_urls, tuple, list)

    @property
    def tile_facts(self) -> dict[str, str]:
        """What tiles depend on besides the request: a job is only continued with equal facts."""
        return {"precision": self.upscaler.precision} if self.name == "local" else {}

    def __repr__(self) -> str:
        """The options without the token, which must not get into logs."""
        return f"BackendOptions({self.name!r})"


def _ignore(_number: int, _share: float) -> None:
    pass


def make_backend(choice: BackendOptions, progress: Callable[[int, float], None] = _ignore) -> "Backend":
    """The backend of that name. progress: called with a tile's number and the share of it that is done.

    Raises InputError for an unknown name, and where an option is missing that the backend needs.
    """
    if choice.name not in BACKENDS:
        raise InputError(f"backend is {choice.name!r}; it must be one of {', '.join(BACKENDS)}")
    makers = {"local": _local, "cog": _cog, "replicate": _replicate, "ray": _ray}
    return makers[choice.name](choice, progress)


def _local(choice: BackendOptions, progress: Callable[[int, float], None]) -> "Backend":
    from luxscaler.backends.local import LocalBackend  # noqa: PLC0415
    from luxscaler.upscaling.model_cache import Models  # noqa: PLC0415
    from luxscaler.upscaling.upscaler import resolve_device  # noqa: PLC0415

    device = resolve_device(choice.upscaler.device)
    return LocalBackend(Models(choice.upscaler, own_checkpoints=True), progress, str(device))


def _cog(choice: BackendOptions, _progress: Callable[[int, float], None]) -> "Backend":
    from luxscaler.backends.cog.backend import CogBackend  # noqa: PLC0415

    return CogBackend(choice.cog_urls)


def _replicate(choice: BackendOptions, _progress: Callable[[int, float], None]) -> "Backend":
    from luxscaler.backends.replicate.backend import ReplicateBackend  # noqa: PLC0415
    from luxscaler.replicate.api import DEFAULT_BASE_URL  # noqa: PLC0415

    if not choice.token:
        raise InputError("the backend replicate needs a token: set REPLICATE_API_TOKEN")
    if not choice.model_version:
        raise InputError("the backend replicate needs a version: give --model-version or set MODEL_VERSION")
    options = _replicate_options(choice)
    base_url = choice.base_url or DEFAULT_BASE_URL
    return ReplicateBackend(choice.token, choice.model_version, options, base_url=base_url)


def _replicate_options(choice: BackendOptions) -> "ReplicateOptions":
    from luxscaler.backends.replicate.session import ReplicateOptions  # noqa: PLC0415
    from luxscaler.replicate.prices import DEFAULT_HARDWARE, Price  # noqa: PLC0415

    options = ReplicateOptions(
        price=Price(choice.hardware or DEFAULT_HARDWARE, choice.price),
        max_cost=choice.max_cost,
        pay_again=choice.pay_again,
    )
    return options if choice.jobs is None else replace(options, workers=choice.jobs)


def _ray(choice: BackendOptions, _progress: Callable[[int, float], None]) -> "Backend":
    from luxscaler.backends.ray.backend import RayBackend  # noqa: PLC0415

    return RayBackend(choice.ray_address or None, upscaler=choice.upscaler)


def check_backend(backend: object) -> None:
    """InputError for what is no name of a backend, no BackendOptions and no backend."""
    if not isinstance(backend, str | BackendOptions) and not hasattr(backend, "open"):
        raise InputError(
            f"backend is of the type {kind_of(backend)}; it must be a name, BackendOptions or a backend"
        )


def own_scale(model: str, backend: str) -> float:
    """The model's native scale, which is used where none is asked for.

    Raises WeightsError for a checkpoint that is absent or cannot be read.
    """
    from luxscaler.weights.store import scale_of  # noqa: PLC0415

    return _CONTAINER_SCALE if backend in CONTAINERS else float(scale_of(model))


def estimate_of(choice: BackendOptions, cuts: "Plan") -> "Estimate | None":
    """What the work may cost; None for a backend that costs nothing."""
    if choice.name != "replicate":
        return None
    megapixels = cuts.width * cuts.height * cuts.extra / len(cuts) / 1e6
    return _replicate_options(choice).estimate(len(cuts), megapixels)
