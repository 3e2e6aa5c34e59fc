"""From a request to a job: checked, admitted under the limit and stored in one transaction.

Nothing is asked of Replicate here, so a submit is answered at once. A key makes it repeatable: the same key
with the same request gives the same job, with another request an error.
"""

import hashlib
import json
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from luxscaler.clock import Clock
from luxscaler.console.hardware import prices
from luxscaler.console.headers import size_for_job
from luxscaler.console.job import Job, JobKind, Place
from luxscaler.console.jobs import Jobs
from luxscaler.console.local.commands import check_inputs
from luxscaler.console.master_checks import check_master_inputs, check_master_result
from luxscaler.console.models import Models
from luxscaler.console.packing import Source, checked_source
from luxscaler.console.provider_settings import ProviderSettings, ProviderSettingsStore
from luxscaler.console.publications import Publications
from luxscaler.console.settings import Settings
from luxscaler.console.spending import Spending
from luxscaler.errors import FetchError, InputError
from luxscaler.gateway.problems import Problem
from luxscaler.replicate.signing import new_id
from luxscaler.web.url import Url

TRAINED = "trained"
"""The container's model with the weights of a training."""
HERE = "this machine"
"""The hardware of jobs that cost nothing."""
_PLACES = {"replicate": "at Replicate", "here": "on this machine"}


class SubmitRequest(BaseModel):
    """What a client asks for."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: JobKind
    source: str = Field(
        max_length=4096,
        description="A picture (master), a folder of pictures (training), or an https address",
    )
    place: Place = Field(default="replicate", description="replicate, or here: on the console's machine")
    name: str = Field(default="", max_length=200)
    trained_by: str = Field(
        default="", max_length=26, description="Master: the training whose model it is made with"
    )
    inputs: dict[str, Any] = Field(default_factory=dict, description="The model's inputs beside the upload")
    hardware: str = Field(default="", max_length=40, description="For the price; the settings' if empty")
    max_minutes: float | None = Field(default=None, ge=1, le=1440)
    destination: str = Field(
        default="", max_length=200, description="Training: owner/name; the settings' if empty"
    )
    idempotency_key: str = Field(default="", max_length=200)


@dataclass(frozen=True)
class Submitted:
    """The job of a request."""

    job: Job
    warning: str = ""
    hit: bool = False
    """The key was used before for the same request."""


class Submissions:
    """Takes the requests for jobs."""

    def __init__(
        self,
        settings: Settings,
        provider_settings: ProviderSettingsStore,
        jobs: Jobs,
        spending: Spending,
        models: Models,
        publications: Publications,
        clock: Clock,
    ) -> None:
        self._models, self._publications = models, publications
        self._settings, self._provider_settings = settings, provider_settings
        self._jobs, self._spending, self._clock = jobs, spending, clock
        self._lock = threading.Lock()

    def submit(self, request: SubmitRequest, key: str) -> Submitted:
        """Check a request and store its job.

        Raises Problem: 402 over the limit, 409 for a key of another request, 413, 422.
        """
        body = request.model_dump(exclude={"idempotency_key", *_unset(request)})
        fingerprint = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        if key and (before := self._before(key, fingerprint)):
            return before
        provider = self._provider_settings.get()
        size = self.size_of(request)
        job = self._job(request, provider, key, fingerprint, size)
        with self._lock, self._jobs.database.transaction():
            if key and (before := self._before(key, fingerprint)):
                return before
            warning = self._spending.admit(provider, job.reserved)
            self._jobs.add(job)
            self._publications.plan(job, provider)
        return Submitted(job, warning)

    def size_of(self, request: SubmitRequest) -> int:
        """Bytes that would be uploaded. Raises Problem: 413, 422."""
        if is_address(request.source):
            if request.place == "here":
                raise Problem(422, "source: must be a path for a job on this machine", field="source")
            try:
                Url.parse(request.source)
            except FetchError as error:
                raise Problem(422, f"source: {error}", field="source") from error
            return 0
        here = request.place == "here"
        limit = sys.maxsize if here else self._settings.max_upload_bytes
        source = checked_source(request.source, self._settings.sources, limit)
        check_kind(request.kind, source)
        return 0 if here else source.size

    def _before(self, key: str, fingerprint: str) -> Submitted | None:
        job = self._jobs.by_key(key)
        if job is None:
            return None
        if job.fingerprint != fingerprint:
            raise Problem(409, f"idempotency_key: another request had it before, for job {job.id}")
        return Submitted(job, hit=True)

    def _job(
        self, request: SubmitRequest, provider: ProviderSettings, key: str, fingerprint: str, size: int
    ) -> Job:
        hardware, price = priced(request, provider)
        seconds = 60 * (request.max_minutes or provider.max_minutes)
        now = self._clock.now()
        return Job(
            id=new_id(),
            kind=request.kind,
            name=request.name.strip() or _name_of(request.source),
            source=request.source,
            call=self._call(request, provider),
            fingerprint=fingerprint,
            nonce=new_id(),
            hardware=hardware,
            price=price,
            max_seconds=seconds,
            created_at=now,
            deadline=now + seconds,
            key=key or None,
            upload_total=size,
            place=request.place,
            megapixels=megapixels_of(request),
        )

    def _call(self, request: SubmitRequest, provider: ProviderSettings) -> dict[str, Any]:
        """The call to Replicate, without what is known only later: the upload and the version."""
        if request.trained_by and request.kind != "master":
            raise Problem(422, "trained_by: is for masters", field="trained_by")
        if request.kind == "master":
            check_master_inputs(request.inputs, is_here=request.place == "here")
            _check_result(request)
        if request.place == "here":
            return self._local_call(request)
        if request.kind == "training":
            return _training(request, provider)
        return self._master_call(request, provider)

    def _local_call(self, request: SubmitRequest) -> dict[str, Any]:
        check_inputs(request.kind, request.inputs, (*self._settings.folders, self._settings.data / "results"))
        if request.trained_by:
            self._models.path(request.trained_by)
        return {"input": request.inputs, "trained_by": request.trained_by}

    def _master_call(self, request: SubmitRequest, provider: ProviderSettings) -> dict[str, Any]:
        """The call of a master; with a trained model it goes to the version that was built with that."""
        call = {"field": "tile_input", "input": request.inputs, "model": provider.model}
        if request.trained_by:
            model, _, version = self._trained_version(request.trained_by).partition(":")
            return {
                **call,
                "input": {**request.inputs, "model": TRAINED},
                "model": model,
                "version": version,
                "trained_by": request.trained_by,
            }
        if request.inputs.get("model") == TRAINED:
            if not provider.training_destination:
                raise Problem(
                    422,
                    "inputs: model is 'trained', and no training_destination says whose newest version that "
                    "is: set it, or name the training by trained_by",
                    field="inputs",
                )
            return {**call, "model": provider.training_destination}
        return call

    def _trained_version(self, name: str) -> str:
        job = self._jobs.get(name)
        if job is None or job.kind != "training":
            raise Problem(422, f"trained_by: there is no training {name[:40]!r}", field="trained_by")
        if not job.trained_version:
            raise Problem(
                422,
                f"trained_by: training {name} has no version on Replicate (it is {job.state}, "
                f"{_PLACES[job.place]}); its model can be used on this machine",
                field="trained_by",
            )
        return job.trained_version


def _name_of(source: str) -> str:
    """The last part of a path or an address, without its query: presigned ones hold their signature there."""
    if is_address(source):
        parts = urlsplit(source)
        return parts.path.rstrip("/").rpartition("/")[2] or parts.netloc.rpartition("@")[2]
    return source.rstrip("/").rpartition("/")[2]


def priced(request: SubmitRequest, settings: ProviderSettings) -> tuple[str, float]:
    """(hardware, dollars a second). Raises Problem (422) for hardware that is not in the table."""
    if request.place == "here":
        return HERE, 0.0
    hardware, per_second = request.hardware or settings.hardware, prices(settings.hardware_prices)
    if hardware not in per_second:
        known = ", ".join(per_second)
        raise Problem(422, f"hardware: {hardware[:80]!r} is unknown; known are {known}", field="hardware")
    return hardware, per_second[hardware]


def is_address(source: str) -> bool:
    """Whether a source is on the web already."""
    return source.startswith("https://")


def check_kind(kind: JobKind, source: Source) -> None:
    """Raise Problem (422) for a folder where one picture is meant, or the other way round."""
    if kind == "master" and source.is_folder:
        raise Problem(422, "source: a master is made from one picture, and this is a folder", field="source")
    if kind == "training" and not source.is_folder:
        raise Problem(
            422, "source: a training needs a folder of pictures, and this is a file", field="source"
        )


def megapixels_of(request: SubmitRequest) -> float | None:
    """Megapixels of a master's picture; None if its header cannot be read, and for a training."""
    if request.kind != "master" or is_address(request.source):
        return None
    try:
        width, height = size_for_job(Path(request.source), request.inputs)
    except (InputError, Problem):
        return None
    return width * height / 1e6


def _check_result(request: SubmitRequest) -> None:
    """422 for a result that the job would refuse, after an upload and a start that are paid.

    A header that is not understood here is the job's matter: it may have an extra that this machine lacks.
    """
    if is_address(request.source):
        return
    try:
        size = size_for_job(Path(request.source), request.inputs)
    except InputError:
        return
    inputs = {name: value for name, value in request.inputs.items() if name != "cog"}
    check_master_result(inputs, *size, request.place)


def _unset(request: SubmitRequest) -> set[str]:
    """Fields that later versions added and that have their defaults, so that old keys stay valid."""
    added = {"place": "replicate", "trained_by": ""}
    return {name for name, default in added.items() if getattr(request, name) == default}


def _training(request: SubmitRequest, provider: ProviderSettings) -> dict[str, Any]:
    destination = request.destination or provider.training_destination
    if destination.count("/") != 1:
        raise Problem(
            422,
            "destination: must be the owner/name of the model that gets the trained version, "
            f"got {destination!r}",
            field="destination",
        )
    return {
        "field": provider.training_input,
        "input": request.inputs,
        "model": provider.training_model,
        "destination": destination,
    }
