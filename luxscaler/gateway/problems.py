"""Errors of the API as problem+json (RFC 9457), in the words that Replicate uses where they are known."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it so
    """Ends a request; the reply's body is {title, detail, status, ...}."""

    def __init__(
        self,
        status: int,
        detail: str,
        title: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.body = {
            "title": title or HTTPStatus(status).phrase,
            "detail": detail,
            "status": status,
            **members,
        }
        self.headers = dict(headers or {})

    def response(self) -> JSONResponse:
        """The reply."""
        return JSONResponse(
            self.body, self.status, headers=self.headers, media_type="application/problem+json"
        )


def unauthenticated() -> Problem:
    """401: no token, or a wrong one."""
    return Problem(
        401,
        "You did not pass a valid authentication token",
        "Unauthenticated",
        headers={"WWW-Authenticate": "Bearer"},
    )


def not_found() -> Problem:
    """404: no such id, or no such address."""
    return Problem(404, "The requested resource could not be found.", "Not found")


def invalid_version() -> Problem:
    """422: this gateway does not offer the version."""
    return Problem(
        422,
        "The specified version does not exist (or perhaps you don't have permission to use it?)",
        "Invalid version or not permitted",
    )


def invalid_input(field: str, description: str, kind: str = "invalid") -> Problem:
    """422: a member of the request's body is wrong."""
    return Problem(
        422,
        f"- {field}: {description}\n",
        "Input validation failed",
        invalid_fields=[{"type": kind, "field": field, "description": description}],
    )


def disk_full() -> Problem:
    """507: nothing was stored; once there is room, the same call works."""
    return Problem(
        507, "The gateway's disk is full: nothing of this request was kept. Free some space and try again"
    )


def too_large(limit: int) -> Problem:
    """413: the request has more bytes than the limit."""
    return Problem(413, f"The request body is larger than {limit} bytes")
