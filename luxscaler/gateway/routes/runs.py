"""What predictions and trainings share: how one is created; the routes that list, show and cancel them."""

from functools import partial

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from luxscaler.cog.messages import Json, RunKind
from luxscaler.gateway.create_request import CreateRequest
from luxscaler.gateway.pagination import page
from luxscaler.gateway.problems import not_found
from luxscaler.gateway.run import Run
from luxscaler.gateway.state import Gateway, Here
from luxscaler.replicate.signing import new_id


def router_of(kind: RunKind) -> APIRouter:
    """A router with `GET /KIND`, `GET /KIND/{name}` and `POST /KIND/{name}/cancel`."""
    router = APIRouter()

    @router.get(f"/{kind}")
    async def listing(gateway: Here, cursor: str = "") -> Json:
        """A page, newest first."""
        return _listed(gateway, kind, cursor)

    @router.get(f"/{kind}/{{name}}")
    async def get(name: str, gateway: Here) -> Response:
        """One run as it is now. Raises Problem (404)."""
        return _shown(gateway, _found(gateway, kind, name))

    @router.post(f"/{kind}/{{name}}/cancel")
    async def cancel(name: str, gateway: Here) -> Response:
        """End a run; one that is over stays as it is. Raises Problem (404)."""
        _found(gateway, kind, name)
        gateway.runner.cancel(name)
        return _shown(gateway, _found(gateway, kind, name))

    return router


async def create(gateway: Gateway, asked: CreateRequest, kind: RunKind, destination: str = "") -> Response:
    """Start a run whose request was checked; a client that waits is answered when the run is over."""
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
        return _shown(gateway, _found(gateway, kind, run.id), 201)
    await lifecycle.wait(run.id, asked.wait_seconds)
    return JSONResponse(gateway.serializer.unfinished(_found(gateway, kind, run.id)), 201)


def _listed(gateway: Gateway, kind: RunKind, cursor: str) -> Json:
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


def _found(gateway: Gateway, kind: RunKind, name: str) -> Run:
    """The run of that kind and id. Raises Problem (404)."""
    run = gateway.parts.store.run(name)
    if run is None or run.kind != kind:
        raise not_found()
    return run


def _shown(gateway: Gateway, run: Run, status: int = 200) -> Response:
    """The run as a reply."""
    return Response(gateway.serializer.body(run), status, media_type="application/json")
