"""Routes of trainings: how they are created; the others are those of every run (runs.py)."""

from fastapi import Request
from starlette.responses import Response

from luxscaler.gateway.create_request import destination_in, read_training_request
from luxscaler.gateway.input_validation import check_input
from luxscaler.gateway.problems import Problem, invalid_version, not_found
from luxscaler.gateway.routes import runs
from luxscaler.gateway.state import Here
from luxscaler.gateway.strict_json import read_json

router = runs.router_of("trainings")


@router.post("/models/{owner}/{name}/versions/{version}/trainings")
async def create(owner: str, name: str, version: str, request: Request, gateway: Here) -> Response:
    """Create one on a version of the model, for a destination: the model itself or one that was created here.

    Raises Problem (404, 422).
    """
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
