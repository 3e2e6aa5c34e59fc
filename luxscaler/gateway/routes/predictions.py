"""Routes of predictions: create, get, list, cancel."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from luxscaler.cog.messages import Json
from luxscaler.gateway.create_request import check_version, read_create_request
from luxscaler.gateway.input_validation import check_input
from luxscaler.gateway.pagination import page
from luxscaler.gateway.prediction import Prediction
from luxscaler.gateway.problems import not_found
from luxscaler.gateway.state import Gateway, gateway_of
from luxscaler.gateway.strict_json import read_json
from luxscaler.replicate.signing import new_id

router = APIRouter()
Here = Annotated[Gateway, Depends(gateway_of)]


@router.post("/predictions")
async def create(request: Request, gateway: Here) -> Response:
    """By version."""
    body = read_json(await request.body())
    check_version(body.get("version"), gateway.settings)
    return await _create(request, gateway, body)


@router.post("/models/{owner}/{name}/predictions")
@router.post("/deployments/{owner}/{name}/predictions")
async def create_of_model(owner: str, name: str, request: Request, gateway: Here) -> Response:
    """By model, or by a deployment that has the model's name."""
    if f"{owner}/{name}" != gateway.settings.model:
        raise not_found()
    return await _create(request, gateway, read_json(await request.body()))


@router.get("/predictions")
async def listing(gateway: Here, cursor: str = "") -> Json:
    """A page, newest first; long texts of inputs are shortened, and are not read."""
    parts = gateway.parts
    return page(
        parts.store.predictions_before,
        parts.store.predictions_after,
        gateway.serializer.listed,
        lambda place: parts.addresses.api("predictions", cursor=place),
        cursor,
        gateway.settings.page_size,
    )


@router.get("/predictions/{name}")
async def get(name: str, gateway: Here) -> Response:
    """One, as it is now."""
    return _shown(gateway, _found(gateway, name))


@router.post("/predictions/{name}/cancel")
async def cancel(name: str, gateway: Here) -> Response:
    """End it; one that is over stays as it is."""
    _found(gateway, name)
    gateway.runner.cancel(name)
    return _shown(gateway, _found(gateway, name))


async def _create(request: Request, gateway: Gateway, body: Json) -> Response:
    asked = read_create_request(body, request.headers, gateway.reach)
    schema = await gateway.schemas.schema()
    if schema is not None:
        check_input(asked.input, schema)
    now, settings = gateway.now(), gateway.settings
    prediction = Prediction(
        new_id(),
        settings.model,
        settings.version_id,
        asked.input,
        now,
        deadline=None if asked.deadline_seconds is None else now + asked.deadline_seconds,
        webhook=asked.webhook,
        events=asked.events,
    )
    lifecycle = gateway.parts.lifecycle
    lifecycle.create(prediction)
    if not asked.wait_seconds:
        return _shown(gateway, _found(gateway, prediction.id), 201)
    await lifecycle.wait(prediction.id, asked.wait_seconds)
    return JSONResponse(gateway.serializer.unfinished(_found(gateway, prediction.id)), 201)


def _found(gateway: Gateway, name: str) -> Prediction:
    found = gateway.parts.store.prediction(name)
    if found is None:
        raise not_found()
    return found


def _shown(gateway: Gateway, prediction: Prediction, status: int = 200) -> Response:
    return Response(gateway.serializer.body(prediction), status, media_type="application/json")
