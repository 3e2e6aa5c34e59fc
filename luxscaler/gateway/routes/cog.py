"""The one route for containers: where Cog says that a run has begun, what it printed, how it ended.

Without the token, by an address that is signed for one run. A result comes as the reply to the request
that started the run; the same in a report is of use only if the gateway was killed before that reply.
"""

from fastapi import APIRouter, Request
from starlette.responses import Response

from luxscaler.cog.reply import ReplyError, ReplyReader
from luxscaler.cog.status import Status
from luxscaler.gateway.problems import Problem
from luxscaler.gateway.state import Gateway, Here
from luxscaler.gateway.strict_json import read_json

MOST_BYTES = 4 * 2**30
"""Most bytes of a report with a result, and of the files in it."""
_MOST_IN_MEMORY = 4 * 2**20
"""A longer report holds a result, which is ignored while the reply is expected."""
router = APIRouter()


@router.post("/internal/cog/{prediction}/{signature}")
async def progress(prediction: str, signature: str, request: Request, gateway: Here) -> Response:
    """Take Cog's own webhook: unsigned, its body a prediction."""
    gateway.parts.addresses.check_progress(prediction, signature)
    if gateway.runner.is_lost(prediction):
        await _recovered(prediction, request, gateway)
        return Response(status_code=204)
    raw = bytearray()
    async for piece in request.stream():
        raw += piece
        if len(raw) > _MOST_IN_MEMORY:
            return Response(status_code=204)
    body = read_json(bytes(raw))
    if body.get("status") == Status.PROCESSING:
        gateway.parts.lifecycle.begun(prediction)
        gateway.parts.lifecycle.logs(prediction, str(body.get("logs") or ""))
    return Response(status_code=204)


async def _recovered(prediction: str, request: Request, gateway: Gateway) -> None:
    """Read the result of a lost run, its files into the prediction's folder. Raises Problem."""
    try:
        with ReplyReader(gateway.parts.files.outputs(prediction), MOST_BYTES) as reader:
            async for piece in request.stream():
                reader.feed(piece)
            reply = reader.end()
    except ReplyError as error:  # also a report of progress that is late
        raise Problem(400, f"The report is no finished prediction: {error}") from error
    gateway.runner.report(prediction, reply)
