"""Routes of sessions: log in, log out, whether one is needed."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from luxscaler.console.routes.strict import StrictRoute
from luxscaler.console.sessions import COOKIE
from luxscaler.console.state import Here

router = APIRouter(prefix="/api/session", tags=["session"], route_class=StrictRoute)


class Login(BaseModel):
    """A password."""

    model_config = ConfigDict(extra="forbid", strict=True)

    password: str = Field(max_length=1000)


@router.get("")
def state(request: Request, console: Here) -> dict[str, Any]:
    """Whether a password is needed, and whether this browser has given it."""
    is_open = console.sessions.is_open(request.cookies.get(COOKIE, ""))
    return {"needed": console.sessions.needed, "open": is_open or not console.sessions.needed}


@router.post("")
def log_in(login: Login, request: Request, console: Here) -> Response:
    """A session, by cookie; its key also goes as a bearer token."""
    key = console.sessions.log_in(login.password)
    answer = JSONResponse({"token": key})
    answer.set_cookie(
        COOKIE,
        key,
        max_age=int(console.settings.session_seconds),
        httponly=True,
        samesite="strict",
        secure=request.headers.get("origin", "").startswith("https:"),
    )
    return answer


@router.delete("", status_code=204)
def log_out(request: Request, console: Here) -> Response:
    """End the session of this browser."""
    console.sessions.log_out(request.cookies.get(COOKIE, ""))
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE)
    return answer
