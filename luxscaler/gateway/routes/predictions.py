"""Routes of predictions: create, get, list, cancel."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from luxscaler.cog.messages import Json
from luxscaler.gateway.create_request import check_version, read_create_request
from luxscaler.gateway.input_validation import check_input
from luxscaler.gateway.problems import not_found
from luxscaler.gateway.routes import runs
from luxscaler.gateway.state import Gateway, gateway_of
from luxscaler.gateway.strict_json import read_json

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
    """A page, newest first."""
    return runs.listing(gateway, "predictions", cursor)


@router.get("/predictions/{name}")
async def get(name: str, gateway: Here) -> Response:
    """One, as it is now."""
    return runs.shown(gateway, runs.found(gateway, "predictions", name))


@router.post("/predictions/{name}/cancel")
async def cancel(name: str, gateway: Here) -> Response:
    """End it; one that is over stays as it is."""
    return runs.cancel(gateway, "predictions", name)


async def _create(request: Request, gateway: Gateway, body: Json) -> Response:
    asked = read_create_request(body, request.headers, gateway.reach)
    schema = await gateway.schemas.schema()
    if schema is not None:
        check_input(asked.input, schema)
    return await runs.create(gateway, asked, "predictions")
