"""Routes of the provider: token, validation, versions, settings, hardware, status page."""

from typing import Annotated, Any

import httpx
from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field

from luxscaler.console import hardware
from luxscaler.console.provider import asked
from luxscaler.console.routes.strict import StrictRoute
from luxscaler.console.state import Here
from luxscaler.console.token import well_formed
from luxscaler.gateway.problems import Problem

BILLING_PAGE = "https://replicate.com/account/billing"
STATUS_PAGE = "https://www.replicatestatus.com"
router = APIRouter(prefix="/api/cloud/providers", tags=["provider"], route_class=StrictRoute)
Changes = Annotated[dict[str, Any], Body()]


class TokenBody(BaseModel):
    """A token."""

    model_config = ConfigDict(extra="forbid", strict=True)

    api_token: str = Field(max_length=1000)


@router.get("")
def providers(console: Here) -> dict[str, Any]:
    """List the one provider."""
    found = console.tokens.find()
    one = {
        "name": "replicate",
        "title": "Replicate",
        "configured": found is not None,
        "token_source": found.source if found else None,
        "settings": console.provider_settings.get().shown(),
    }
    return {"providers": [one]}


@router.get("/replicate/validate")
def validate(console: Here) -> dict[str, Any]:
    """Whether Replicate accepts the token."""
    return console.provider.validate()


@router.put("/replicate/token")
def put_token(body: TokenBody, console: Here) -> dict[str, Any]:
    """Store a token, if Replicate accepts it."""
    console.tokens.refuse_if_the_environment_rules()
    token = well_formed(body.api_token)
    console.provider.accept(token)
    path = console.tokens.keep(token)
    console.provider.forget_webhook_secret()
    console.engine.wake()
    return {"success": True, "file_path": str(path)}


@router.delete("/replicate/token")
def delete_token(console: Here) -> dict[str, Any]:
    """Remove the token."""
    console.tokens.refuse_if_the_environment_rules()
    console.provider.forget_webhook_secret()
    return {"success": True, "removed": console.tokens.forget()}


@router.get("/replicate/versions")
def versions(console: Here) -> dict[str, Any]:
    """List versions of the model, newest first; `current_version` is what a job would run on."""
    settings = console.provider_settings.get()
    found = asked(lambda: console.provider.api().versions(settings.model))
    shown = [
        {
            "id": each.get("id"),
            "created_at": each.get("created_at"),
            "model_id": settings.model,
            "full_version": f"{settings.model}:{each.get('id')}",
        }
        for each in found
    ]
    newest = shown[0]["id"] if shown else None
    return {"versions": shown, "current_version": settings.version_override or newest}


@router.get("/replicate/billing")
def billing(console: Here) -> dict[str, Any]:
    """Show prices and what was spent from here; Replicate's API has no balance."""
    settings = console.provider_settings.get()
    return {
        "balance": None,
        "balance_note": f"Replicate's API tells no balance; its page does: {BILLING_PAGE}",
        "billing_url": BILLING_PAGE,
        "hardware": hardware.options(settings.hardware_prices),
        "default_hardware": settings.hardware,
        "local_spend": console.spending.status(settings),
    }


@router.get("/replicate/hardware")
def hardware_options(console: Here) -> dict[str, Any]:
    """List kinds of hardware with the current prices."""
    settings = console.provider_settings.get()
    return {"hardware": hardware.options(settings.hardware_prices), "default_hardware": settings.hardware}


@router.get("/replicate/config")
@router.get("/replicate")
def get_settings(console: Here) -> dict[str, Any]:
    """Show the settings that can be changed."""
    return console.provider_settings.get().shown()


@router.put("/replicate/config")
@router.put("/replicate")
def put_settings(changes: Changes, console: Here) -> dict[str, Any]:
    """Change some settings; the others stay."""
    shown = console.provider_settings.change(changes).shown()
    console.engine.wake()
    return shown


@router.post("/replicate/delivery/test")
def test_delivery(console: Here) -> dict[str, Any]:
    """Check that files can be written to the places that are set. 409: none is; 422, 502: they cannot."""
    settings = console.provider_settings.get()
    places = {"hub": settings.deliver_hub, "s3": settings.deliver_s3}
    found = {target: place for target, place in places.items() if place}
    if not found:
        raise Problem(409, "deliver_hub and deliver_s3 are not set: there is no place to deliver to")
    for target, place in found.items():
        console.publications.check_place(target, place)
    return {"writable": found}


@router.get("/replicate/status")
def status_page(console: Here) -> dict[str, Any]:
    """Show what Replicate's status page says; `operational` is null when it cannot be asked."""
    empty: dict[str, Any] = {
        "operational": None,
        "ongoing_incidents": [],
        "in_progress_maintenances": [],
        "scheduled_maintenances": [],
        "status_page_url": STATUS_PAGE,
        "error": None,
    }
    try:
        with console.provider.plain_client() as client:
            said = client.get(console.settings.status_url).raise_for_status().json()
        lists = {name: said.get(name) or [] for name in empty if name.endswith(("incidents", "maintenances"))}
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, AttributeError) as error:
        return {**empty, "error": f"the status page cannot be read: {str(error) or type(error).__name__}"}
    return {**empty, **lists, "operational": not lists["ongoing_incidents"]}
