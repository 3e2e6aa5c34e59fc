"""The ASGI application, built from settings: who may call, how much, what an error looks like."""

import logging
import sqlite3
from functools import cache
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.staticfiles import StaticFiles

from luxscaler import __version__
from luxscaler.console.guard import GuardMiddleware
from luxscaler.console.routes import deliveries, events, health, jobs, money, provider, sessions, upscale
from luxscaler.console.sending import WEBHOOK_PATH
from luxscaler.console.sessions import COOKIE
from luxscaler.console.state import Console, console_of
from luxscaler.errors import ConsoleError
from luxscaler.gateway.limits import LimitMiddleware
from luxscaler.gateway.problems import Problem
from luxscaler.sqlite_file import is_full

_log = logging.getLogger(__name__)


def make_app(console: Console) -> FastAPI:
    """The application of a console that is at work."""
    settings = console.settings
    app = FastAPI(
        title="LuxScaler console",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,  # its page loads from elsewhere
        redoc_url=None,
        routes=list(_routes()),
    )
    app.state.console = console
    app.mount("/static", StaticFiles(directory=health.PAGE), name="static")
    app.add_middleware(deliveries.WebhookShortcut, console=console)  # the innermost layer
    limits = {WEBHOOK_PATH: settings.max_webhook_bytes, upscale.UPLOAD_PATH: settings.max_picture_bytes}
    app.add_middleware(LimitMiddleware, limit_for=lambda path: limits.get(path, settings.max_body_bytes))
    names = frozenset(name.lower() for name in (settings.host, *settings.allowed_hosts))
    app.add_middleware(
        GuardMiddleware, allowed=names, public=lambda path: _public_name(console, path), own_path=WEBHOOK_PATH
    )
    app.exception_handler(Problem)(_on_problem)
    app.exception_handler(RequestValidationError)(_on_invalid)
    app.exception_handler(HTTPException)(_on_http_error)
    app.exception_handler(ConsoleError)(_on_console_error)
    app.exception_handler(sqlite3.Error)(_on_database_error)
    app.exception_handler(OSError)(_on_os_error)
    app.exception_handler(Exception)(_on_bug)
    return app


@cache
def _routes() -> tuple[BaseRoute, ...]:
    """What all consoles of a process answer: to put it together takes longer than to start one."""
    together = APIRouter()
    for router in (
        *(provider.router, money.router, jobs.router, jobs.models, deliveries.router, events.router),
        upscale.router,
    ):
        together.include_router(router, dependencies=[Depends(_admit)])
    for router in (deliveries.public, health.router, sessions.router):
        together.include_router(router)
    return tuple(together.routes)


def _admit(request: Request) -> None:
    """Let a call through: with a session, if the console has a password. Raises Problem (401)."""
    open_sessions = console_of(request).sessions
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    key = token.strip() if scheme.lower() == "bearer" else request.cookies.get(COOKIE, "")
    if open_sessions.needed and not open_sessions.is_open(key):
        raise Problem(401, "Log in first: POST /api/session", headers={"WWW-Authenticate": "Bearer"})


def _public_name(console: Console, path: str) -> str:
    """The host name of the public address, which webhooks use; empty for other paths."""
    if path != WEBHOOK_PATH:
        return ""
    url = console.provider_settings.get().webhook_url
    return urlsplit(url).hostname or ""


def _on_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for it
    return error.response()


def _on_invalid(_request: Request, error: Exception) -> Response:
    """The answer to input that pydantic refuses: one line that names the first wrong field."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("body", "query"))
    return Problem(422, f"{place or 'body'}: {first['msg']}", field=place or "body").response()


def _on_http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    return Problem(error.status_code, str(error.detail), headers=error.headers).response()


def _on_console_error(_request: Request, error: Exception) -> Response:
    """The answer where a file of the console cannot be read or written."""
    return Problem(500, str(error)).response()


def _on_database_error(request: Request, error: Exception) -> Response:
    """The answer to an error of the database (full disk, damage); nothing was done."""
    _log.error("%s %s", request.method, request.url.path, exc_info=error)
    return Problem(507, f"The console's database cannot be used: {error}").response()


def _on_os_error(request: Request, error: Exception) -> Response:
    if not is_full(error):
        return _on_bug(request, error)
    _log.error("%s %s: the disk is full", request.method, request.url.path)
    return Problem(
        507, "The console's disk is full: nothing of this request was kept. Free some space and try again"
    ).response()


def _on_bug(request: Request, error: Exception) -> JSONResponse:
    _log.error("%s %s", request.method, request.url.path, exc_info=error)
    return Problem(500, "The console has a fault; its log says more").response()
