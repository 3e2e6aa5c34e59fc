"""Routes of money: the limit, an estimate before a job, what was spent by day."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from luxscaler.console.estimates import estimate
from luxscaler.console.routes.strict import StrictRoute
from luxscaler.console.state import Here
from luxscaler.console.submissions import SubmitRequest

router = APIRouter(prefix="/api/cloud", tags=["money"], route_class=StrictRoute)


@router.get("/cost-limit")
def cost_limit(console: Here) -> dict[str, Any]:
    """Show the limit, and how much of it is used: the figure that submits are checked against."""
    return console.spending.status(console.provider_settings.get())


@router.post("/estimate")
def estimate_job(request: SubmitRequest, console: Here) -> dict[str, Any]:
    """Estimate time and cost of a job; nothing is submitted."""
    size = console.submissions.size_of(request)
    return estimate(request, size, console.provider_settings.get(), console.jobs)


@router.get("/spending")
def spending(console: Here, days: Annotated[int, Query(ge=1, le=366)] = 30) -> dict[str, Any]:
    """Dollars a day, oldest first, and the limit."""
    settings = console.provider_settings.get()
    by_day = console.spending.by_day(settings, days)
    return {"days": by_day, "limit": console.spending.status(settings)}
