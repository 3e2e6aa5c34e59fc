"""Routes that read JSON as luxscaler/gateway/strict_json.py does.

The framework's reader takes NaN and infinite numbers, half characters and any depth. A job with these would
be kept, and could then be neither shown nor sent.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from luxscaler.gateway.strict_json import read_json


class StrictRoute(APIRoute):
    """A route that refuses such a body before it is read for the function. Raises Problem: 400, 413, 422."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's, behind the check; routes that take no JSON have none."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def checked(request: Request) -> Response:
            if body := await request.body():
                read_json(body)
            return await handle(request)

        return checked
