"""Routes of trainings: create on a model's version, get, list, cancel."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from luxscaler.cog.messages import Json
from luxscaler.gateway.create_request import destination_in, read_training_request
from luxscaler.gateway.input_validation import check_input
from luxscaler.gateway.problems import Problem, invalid_version, not_found
from luxscaler.gateway.routes import runs
from luxscaler.gateway.state import Gateway, gateway_of
from luxscaler.gateway.strict_json import read_json

router = APIRouter()
Here = Annotated[Gateway, Depends(gateway_of)]


@router.post("/models/{owner}/{name}/versions/{version}/trainings")
async def create(owner: str, name: str, version: str, request: Request, gateway: Here) -> Response:
    """For a destination, which is the model itself or one that was created here."""
    settings = gateway.settings
    if f"{owner}/{name}" != settings.model:
        raise not_found()
    if version != settings.version_id:
        raise invalid_version()
    if not settings.trainers:
        raise Problem(422, "This version cannot be trained: the gateway has no container for it (--trainer)")
    body = read_json(await request.body())
    asked, destination = read_training_request(body, gateway.reach), destination_in(body)
    if destination != settings.model and gateway.parts.store.model(destination) is None:
        raise Problem(404, "The specified training destination does not exist", "Not found")
    schema = await gateway.training_schemas.schema()
    if schema is not None:
        check_input(asked.input, schema, "TrainingInput")
    return await runs.create(gateway, asked, "trainings", destination)


@router.get("/trainings")
async def listing(gateway: Here, cursor: str = "") -> Json:
    """A page, newest first."""
    return runs.listing(gateway, "trainings", cursor)


@router.get("/trainings/{name}")
async def get(name: str, gateway: Here) -> Response:
    """One, as it is now."""
    return runs.shown(gateway, runs.found(gateway, "trainings", name))


@router.post("/trainings/{name}/cancel")
async def cancel(name: str, gateway: Here) -> Response:
    """End it; one that is over stays as it is."""
    return runs.cancel(gateway, "trainings", name)
