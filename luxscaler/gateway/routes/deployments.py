"""Routes of deployments: the containers are one, under the model's name, as clients look it up first."""

from fastapi import APIRouter

from luxscaler.clock import iso
from luxscaler.cog.messages import Json
from luxscaler.gateway.problems import not_found
from luxscaler.gateway.routes.models import ACCOUNT, VERSION_CREATED
from luxscaler.gateway.state import Gateway, Here

router = APIRouter()


@router.get("/deployments")
async def listing(gateway: Here) -> Json:
    """List the one deployment."""
    return {"next": None, "previous": None, "results": [_shown(gateway)]}


@router.get("/deployments/{owner}/{name}")
async def get(owner: str, name: str, gateway: Here) -> Json:
    """Show the deployment. Raises Problem (404)."""
    if f"{owner}/{name}" != gateway.settings.model:
        raise not_found()
    return _shown(gateway)


def _shown(gateway: Gateway) -> Json:
    settings = gateway.settings
    owner, _, name = settings.model.partition("/")
    count = len(settings.cogs)
    return {
        "owner": owner,
        "name": name,
        "current_release": {
            "number": 1,
            "model": settings.model,
            "version": settings.version_id,
            "created_at": iso(VERSION_CREATED),
            "created_by": ACCOUNT,
            # What the containers run on is not asked.
            "configuration": {"hardware": "unknown", "min_instances": count, "max_instances": count},
        },
    }
