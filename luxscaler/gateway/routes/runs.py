"""What predictions and trainings have in common at the API: be created, be shown, be listed, be canceled."""

from functools import partial

from starlette.responses import JSONResponse, Response

from luxscaler.cog.messages import Json, RunKind
from luxscaler.gateway.create_request import CreateRequest
from luxscaler.gateway.pagination import page
from luxscaler.gateway.problems import not_found
from luxscaler.gateway.run import Run
from luxscaler.gateway.state import Gateway
from luxscaler.replicate.signing import new_id


async def create(gateway: Gateway, asked: CreateRequest, kind: RunKind, destination: str = "") -> Response:
    """A new one, whose request was checked; a client that waits is answered when it is over."""
    now, settings = gateway.now(), gateway.settings
    run = Run(
        new_id(),
        settings.model,
        settings.version_id,
        asked.input,
        now,
        deadline=None if asked.deadline_seconds is None else now + asked.deadline_seconds,
        webhook=asked.webhook,
        events=asked.events,
        kind=kind,
        destination=destination,
    )
    lifecycle = gateway.parts.lifecycle
    lifecycle.create(run)
    if not asked.wait_seconds:
        return shown(gateway, found(gateway, kind, run.id), 201)
    await lifecycle.wait(run.id, asked.wait_seconds)
    return JSONResponse(gateway.serializer.unfinished(found(gateway, kind, run.id)), 201)


def listing(gateway: Gateway, kind: RunKind, cursor: str) -> Json:
    """A page, newest first; long texts of inputs are shortened, and are not read."""
    store, addresses = gateway.parts.store, gateway.parts.addresses
    return page(
        partial(store.runs_before, kind),
        partial(store.runs_after, kind),
        gateway.serializer.listed,
        lambda place: addresses.api(kind, cursor=place),
        cursor,
        gateway.settings.page_size,
    )


def cancel(gateway: Gateway, kind: RunKind, name: str) -> Response:
    """End it; one that is over stays as it is."""
    found(gateway, kind, name)
    gateway.runner.cancel(name)
    return shown(gateway, found(gateway, kind, name))


def found(gateway: Gateway, kind: RunKind, name: str) -> Run:
    """The one of that kind and id. Raises Problem (404)."""
    run = gateway.parts.store.run(name)
    if run is None or run.kind != kind:
        raise not_found()
    return run


def shown(gateway: Gateway, run: Run, status: int = 200) -> Response:
    """It as a reply."""
    return Response(gateway.serializer.body(run), status, media_type="application/json")
