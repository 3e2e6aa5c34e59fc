"""Routes of predictions: how they are created; the others are those of every run (runs.py)."""

from fastapi import Request
from starlette.responses import Response

from luxscaler.cog.messages import Json
from luxscaler.gateway.create_request import check_version, read_create_request
from luxscaler.gateway.input_validation import check_input
from luxscaler.gateway.problems import not_found
from luxscaler.gateway.routes import runs
from luxscaler.gateway.state import Here
from luxscaler.gateway.strict_json import read_json

router = runs.router_of("predictions")


@router.post("/predictions")
async def create(request: Request, gateway: Here) -> Response:
    """Create one by version."""
    body = read_json(await request.body())
    check_version(body.get("version"), gateway.settings)
    return await _create(request, gateway, body)


@router.post("/models/{owner}/{name}/predictions")
@router.post("/deployments/{owner}/{name}/predictions")
async def create_of_model(owner: str, name: str, request: Request, gateway: Here) -> Response:
    """Create one by model, or by a deployment that has the model's name. Raises Problem (404)."""
    if f"{owner}/{name}" != gateway.settings.model:
        raise not_found()
    return await _create(request, gateway, read_json(await request.body()))


async def _create(request: Request, gateway: Here, body: Json) -> Response:
    asked = read_create_request(body, request.headers, gateway.reach)
    schema = await gateway.schemas.schema()
    if schema is not None:
        check_input(asked.input, schema)
    return await runs.create(gateway, asked, "predictions")
