"""The checks of what can be changed about Replicate: one function for each kind of value.

Each takes a setting's name and what was given, and gives the value to keep, or raises Problem (400) that
names the setting.
"""

import ipaddress
import math
import os
import re
from collections.abc import Callable
from typing import Any, NoReturn
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from luxscaler.console.hardware import prices
from luxscaler.errors import InputError, PublishError
from luxscaler.gateway.problems import Problem
from luxscaler.publishing.destinations import HubDestination, S3Destination, s3_of
from luxscaler.replicate.prices import DOLLARS_PER_SECOND
from luxscaler.replicate.responses import version_id

PERIODS = ("daily", "weekly", "monthly")
ACTIONS = ("warn", "block")
_MODEL = re.compile(r"[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*")
_MOST_MINUTES = 24 * 60
_LEAST_PRICE = 1e-6
"""Dollars a second. At a price of 0 no job would count, and the spending limit would hold nothing back."""


def without_password(url: str) -> str:
    """The address with … in place of a password."""
    try:
        password = urlsplit(url).password
    except ValueError:  # no address: what in it may be a password cannot be told
        return "…" if "@" in url else url
    return url if password is None else url.replace(f":{password}@", ":…@", 1)


def refuse(name: str, reason: str) -> NoReturn:
    """Raise Problem (400) that names the setting."""
    raise Problem(400, f"{name}: {reason}", field=name)


def _text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not value.isprintable() or len(value) > 2000:
        refuse(name, f"must be a text on one line, got {str(value)[:80]!r}")
    return value.strip()


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        refuse(name, f"must be true or false, got {str(value)[:80]!r}")
    return value


def _number(name: str, value: Any, least: float = 0.0, most: float = 1e9) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or (isinstance(value, float) and not math.isfinite(value)):
        refuse(name, f"must be a number, got {str(value)[:80]!r}")
    if not least <= value <= most:
        refuse(name, f"must be from {least:g} to {most:g}, got {str(value)[:80]}")
    return float(value)


def _minutes(name: str, value: Any) -> float:
    return _number(name, value, 1.0, _MOST_MINUTES)


def _seconds(name: str, value: Any) -> float:
    return _number(name, value, 1.0, 600.0)


def _one_of(*words: str) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if value not in words:
            refuse(name, f"must be one of {', '.join(words)}, got {str(value)[:80]!r}")
        return str(value)

    return check


def _model(name: str, value: Any) -> str:
    text = _text(name, value)
    if not _MODEL.fullmatch(text):
        refuse(name, f"must be owner/name in lower case, got {text[:80]!r}")
    return text


def _model_or_none(name: str, value: Any) -> str:
    return _model(name, value) if _text(name, value) else ""


def _identifier(name: str, value: Any) -> str:
    text = _text(name, value)
    if not text.isidentifier():
        refuse(name, f"must be the name of an input, got {text[:80]!r}")
    return text


def _version(name: str, value: Any) -> str:
    text = _text(name, value)
    try:
        return version_id(text) if text else ""
    except InputError as error:
        refuse(name, str(error))


def _hardware(name: str, value: Any) -> str:
    return _one_of(*DOLLARS_PER_SECOND)(name, value)


def _prices(name: str, value: Any) -> dict[str, float]:
    if not isinstance(value, dict):
        refuse(name, "must be an object of dollars a second by hardware")
    for sku, price in value.items():
        if sku not in prices({}):
            refuse(name, f"unknown hardware {sku[:80]!r}; known are {', '.join(prices({}))}")
        _number(name, price, _LEAST_PRICE, 1.0)
    return {sku: float(price) for sku, price in value.items()}


def _public_url(name: str, value: Any) -> str:
    """Check an address without a path, to which the console appends its own."""
    text = _text(name, value).rstrip("/")
    if not text:
        return ""
    parts = _address(name, text, ("https", "http"))
    if parts.path or parts.query or parts.fragment or parts.username is not None:
        refuse(name, f"must be a public address without path, e.g. https://host.example, got {text[:80]!r}")
    return text


def _proxy(name: str, value: Any) -> str:
    text = _text(name, value)
    if text:
        _address(name, text, ("http", "https"))
    return text


def _hub(name: str, value: Any) -> str:
    text = _text(name, value)
    if text:
        _placed(name, lambda: HubDestination(text, "-"))
    return text


def _s3(name: str, value: Any) -> str:
    text = _text(name, value)
    if text:
        _placed(name, lambda: s3_of(text, {}))
    return text


def _endpoint(name: str, value: Any) -> str:
    text = _text(name, value).rstrip("/")
    if text:
        _address(name, text, ("https", "http"))
        _placed(name, lambda: S3Destination("any", endpoint=text))
    return text


def _placed(name: str, make: Callable[[], object]) -> None:
    try:
        make()
    except (InputError, PublishError) as error:
        refuse(name, str(error))


def _address(name: str, text: str, schemes: tuple[str, ...]) -> Any:
    shown = without_password(text) if "@" not in text.rpartition("/")[2] or "://" in text else "…"
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises for what is no port
    except ValueError:
        refuse(name, "is no address")
    if parts.scheme not in schemes or not parts.hostname:
        refuse(name, f"must start with {' or '.join(f'{each}://' for each in schemes)}, got {shown[:80]!r}")
    return parts


def _networks(name: str, value: Any) -> tuple[str, ...]:
    """Check networks: a list, or one text with commas; an empty text is none."""
    entries = value
    if isinstance(value, str):
        entries = value.split(",") if value.strip() else []
    if not isinstance(entries, (list, tuple)):
        refuse(name, 'must be a list of networks, e.g. ["34.82.0.0/16"]')
    found = []
    for entry in entries:
        found.append(_network(name, str(entry).strip()))  # noqa: PERF401 - it refuses
    return tuple(found)


def _network(name: str, text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        refuse(name, f"{text[:80]!r} is no network, e.g. 34.82.0.0/16: {error}")


def _zone(name: str, value: Any) -> str:
    text = _text(name, value)
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        refuse(name, f"is no time zone, e.g. UTC or Europe/Madrid, got {text[:80]!r}")
    return text


def _file(name: str, value: Any) -> str:
    text = _text(name, value)
    if text and not os.path.isfile(text):  # noqa: PTH113 - Path's raises for a name that is too long
        refuse(name, f"there is no file {text[:200]!r}")
    return text


CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "model": _model,
    "version_override": _version,
    "training_model": _model,
    "training_destination": _model_or_none,
    "training_input": _identifier,
    "hardware": _hardware,
    "hardware_prices": _prices,
    "max_minutes": _minutes,
    "webhook_url": _public_url,
    "webhook_require_signature": _flag,
    "webhook_allowed_ips": _networks,
    "trusted_proxies": _networks,
    "cost_limit_enabled": _flag,
    "cost_limit_amount": _number,
    "cost_limit_period": _one_of(*PERIODS),
    "cost_limit_action": _one_of(*ACTIONS),
    "cost_limit_time_zone": _zone,
    "deliver_hub": _hub,
    "deliver_hub_public": _flag,
    "deliver_s3": _s3,
    "deliver_s3_endpoint": _endpoint,
    "proxy_url": _proxy,
    "ssl_ca_bundle": _file,
    "http_timeout": _seconds,
}
