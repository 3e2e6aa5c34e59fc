"""The ASGI application, built from settings: who may call, how often, how much. The routes are in routes/."""

import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from luxscaler.clock import Clock
from luxscaler.gateway.keys import Keys
from luxscaler.gateway.limits import MULTIPART_BYTES, LimitMiddleware, throttled
from luxscaler.gateway.problems import Problem, disk_full, not_found, unauthenticated
from luxscaler.gateway.routes import cog, deployments, files, models, predictions, trainings
from luxscaler.gateway.settings import Settings
from luxscaler.gateway.state import gateway_of, running_gateway
from luxscaler.replicate.signing import same
from luxscaler.sqlite_file import is_full

_log = logging.getLogger(__name__)


def make_app(settings: Settings, keys: Keys, clock: Clock | None = None) -> FastAPI:
    """The application of one gateway; it works while its lifespan lasts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running_gateway(settings, keys, clock or Clock()) as gateway:
            app.state.gateway = gateway
            yield

    app = FastAPI(title="LuxScaler gateway", lifespan=lifespan, openapi_url=None, routes=list(_routes()))
    app.add_middleware(LimitMiddleware, limit_for=lambda path: _body_limit(path, settings))
    app.exception_handler(Problem)(_on_problem)
    app.exception_handler(HTTPException)(_on_http_error)
    for kind in (OSError, sqlite3.Error, Exception):
        app.exception_handler(kind)(_on_bug)
    return app


@cache
def _routes() -> tuple[BaseRoute, ...]:
    """What all gateways of a process answer, put together once."""
    together = APIRouter()
    for router in (predictions.router, trainings.router, files.router, models.router, deployments.router):
        together.include_router(router, prefix="/v1", dependencies=[Depends(_admit)])
    together.include_router(files.signed)
    together.include_router(cog.router)
    return tuple(together.routes)


async def _admit(request: Request) -> None:
    """Let a call through: only with the token, and within the rate limits. Raises Problem."""
    gateway = await gateway_of(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() not in ("bearer", "token") or not same(token.strip(), gateway.keys.token):
        client = request.client.host if request.client else ""
        verdict = gateway.wrong_tokens.ask(client, gateway.now())
        raise unauthenticated() if verdict.allowed else throttled(verdict)
    if gateway.settings.rate_limits:
        creates = request.method == "POST" and request.url.path.endswith(("/predictions", "/trainings"))
        verdict = (gateway.creates if creates else gateway.calls).ask(gateway.now())
        if not verdict.allowed:
            raise throttled(verdict)
        request.state.reply_headers = verdict.headers()


def _body_limit(path: str, settings: Settings) -> int:
    if path.rstrip("/") == "/v1/files":
        return settings.max_file_bytes + MULTIPART_BYTES
    return cog.MOST_BYTES if path.startswith("/internal/cog/") else settings.max_body_bytes


def _on_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for it
    return error.response()


def _on_http_error(_request: Request, error: Exception) -> Response:
    """An error of the framework's: no such address, or no such method there."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    if error.status_code == 404:
        return not_found().response()
    return Problem(error.status_code, str(error.detail), headers=error.headers).response()


def _on_bug(request: Request, error: Exception) -> JSONResponse:
    """An unexpected error; the query stays out of the log, since signatures are in it."""
    if is_full(error):
        _log.error("%s %s: the disk is full", request.method, request.url.path)
        return disk_full().response()
    _log.error("%s %s", request.method, request.url.path, exc_info=error)
    return Problem(500, "The gateway has a fault; its log says more").response()
