"""Routes that need no session: whether the console works, and its page."""

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse, Response

from luxscaler.console.state import Here
from luxscaler.gateway.problems import Problem

PAGE = Path(__file__).parent.parent / "page"
router = APIRouter(tags=["health"])


@router.get("/api/health/live")
def live() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok"}


@router.get("/api/health/ready")
def ready(console: Here) -> dict[str, str]:
    """Say whether jobs can be taken: the database answers and the engine runs. 503 if not."""
    console.jobs.last_event()
    if not console.engine.is_alive:
        raise Problem(503, "The engine has stopped: restart the console")
    return {"status": "ok"}


@router.get("/", include_in_schema=False)
def page() -> Response:
    """The console's page."""
    return FileResponse(PAGE / "index.html", media_type="text/html; charset=utf-8")
