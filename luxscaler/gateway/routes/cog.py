"""The one route for containers: where Cog says that a prediction has begun and what it has printed.

Without the token, by an address that is signed for one prediction. Results do not come this way.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from luxscaler.cog.status import Status
from luxscaler.gateway.create_request import read_json
from luxscaler.gateway.state import Gateway, gateway_of

router = APIRouter()


@router.post("/internal/cog/{prediction}/{signature}")
async def progress(
    prediction: str, signature: str, request: Request, gateway: Annotated[Gateway, Depends(gateway_of)]
) -> Response:
    """Cog's own webhook: unsigned, its body a prediction."""
    gateway.parts.addresses.check_progress(prediction, signature)
    body = read_json(await request.body())
    if body.get("status") == Status.PROCESSING:
        gateway.parts.lifecycle.begun(prediction)
        gateway.parts.lifecycle.logs(prediction, str(body.get("logs") or ""))
    return Response(status_code=204)
