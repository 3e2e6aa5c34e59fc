"""What can be changed about Replicate while the console runs, checked as one value and kept in the database.

A change names some settings; the others stay. A wrong one is refused with its name, and nothing is changed.
"""

import ipaddress
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from luxscaler.console.database import Database
from luxscaler.console.hardware import DEFAULT_HARDWARE, prices
from luxscaler.errors import InputError
from luxscaler.gateway.problems import Problem
from luxscaler.replicate.prices import DOLLARS_PER_SECOND
from luxscaler.replicate.responses import version_id

PERIODS = ("daily", "weekly", "monthly")
ACTIONS = ("warn", "block")
_KEY = "replicate"
_MODEL = re.compile(r"[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*")
_MOST_MINUTES = 24 * 60


@dataclass(frozen=True)
class ProviderSettings:
    """Replicate, as the console uses it."""

    model: str = "josfer/luxscaler-v32"
    """owner/name of what masters run on."""
    version_override: str = ""
    """64 hexadecimal digits; empty: the model's newest version."""
    training_model: str = "josfer/luxscaler-v32"
    """owner/name of the trainer."""
    training_destination: str = ""
    """owner/name that a training adds a version to."""
    training_input: str = "pictures"
    """The trainer's input that gets the archive of pictures."""
    hardware: str = DEFAULT_HARDWARE
    """What the models run on: for prices."""
    hardware_prices: dict[str, float] = field(default_factory=dict)
    """Dollars a second by sku, over the table's."""
    max_minutes: float = 60.0
    """After so long a job is canceled, unless it says otherwise."""
    webhook_url: str = ""
    """The console's public address, without a path; empty: polling alone."""
    webhook_require_signature: bool = True
    webhook_allowed_ips: tuple[str, ...] = ()
    """Networks that webhooks may come from; empty: all, since the signature is the guarantee."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks of reverse proxies, whose X-Forwarded-For is believed."""
    cost_limit_enabled: bool = False
    cost_limit_amount: float = 0.0
    """US dollars in a period."""
    cost_limit_period: str = "monthly"
    cost_limit_action: str = "block"
    cost_limit_time_zone: str = "UTC"
    proxy_url: str = ""
    """Of this network, for all that the console asks of others."""
    ssl_ca_bundle: str = ""
    """A PEM file of certificates, instead of the usual ones."""
    http_timeout: float = 30.0
    """Seconds for an answer."""

    def shown(self) -> dict[str, Any]:
        """As JSON, without the proxy's password."""
        return {**asdict(self), "proxy_url": without_password(self.proxy_url)}

    def merged(self, changes: Mapping[str, Any]) -> "ProviderSettings":
        """With some settings changed. Raises Problem (400) that names the wrong one."""
        values: dict[str, Any] = {}
        for name, value in changes.items():
            check = _CHECKS.get(name)
            if check is None:
                _refuse(name, f"unknown setting; known are {', '.join(_CHECKS)}")
            values[name] = check(name, value)
        if values.get("proxy_url") and values["proxy_url"] == without_password(self.proxy_url):
            values["proxy_url"] = self.proxy_url  # it came back as it was shown
        return replace(self, **values)


class ProviderSettingsStore:
    """The settings in the database; whoever asks gets them as they are now."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self) -> ProviderSettings:
        """In force."""
        rows = self._database.rows("SELECT value FROM settings WHERE name = ?", [_KEY])
        kept = json.loads(rows[0][0]) if rows else {}
        known = {each.name for each in fields(ProviderSettings)}
        return ProviderSettings().merged({name: value for name, value in kept.items() if name in known})

    def change(self, changes: Mapping[str, Any]) -> ProviderSettings:
        """Merge and keep. Raises Problem (400)."""
        with self._database.transaction():
            merged = self.get().merged(changes)
            self._database.run(
                "INSERT INTO settings (name, value) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                [_KEY, json.dumps(asdict(merged))],
            )
        return merged


def without_password(url: str) -> str:
    """The address with … in place of a password."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return url.replace(f":{parts.password}@", ":…@", 1)


def networks(texts: tuple[str, ...]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Of checked settings."""
    return [ipaddress.ip_network(text) for text in texts]


def _refuse(name: str, reason: str) -> NoReturn:
    raise Problem(400, f"{name}: {reason}", field=name)


def _text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not value.isprintable() or len(value) > 2000:
        _refuse(name, f"must be a text on one line, got {str(value)[:80]!r}")
    return value.strip()


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        _refuse(name, f"must be true or false, got {str(value)[:80]!r}")
    return value


def _number(name: str, value: Any, least: float = 0.0, most: float = 1e9) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        _refuse(name, f"must be a number, got {str(value)[:80]!r}")
    if not least <= value <= most:
        _refuse(name, f"must be from {least:g} to {most:g}, got {value:g}")
    return float(value)


def _minutes(name: str, value: Any) -> float:
    return _number(name, value, 1.0, _MOST_MINUTES)


def _seconds(name: str, value: Any) -> float:
    return _number(name, value, 1.0, 600.0)


def _one_of(*words: str) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if value not in words:
            _refuse(name, f"must be one of {', '.join(words)}, got {str(value)[:80]!r}")
        return str(value)

    return check


def _model(name: str, value: Any) -> str:
    text = _text(name, value)
    if not _MODEL.fullmatch(text):
        _refuse(name, f"must be owner/name in lower case, got {text[:80]!r}")
    return text


def _model_or_none(name: str, value: Any) -> str:
    return _model(name, value) if _text(name, value) else ""


def _identifier(name: str, value: Any) -> str:
    text = _text(name, value)
    if not text.isidentifier():
        _refuse(name, f"must be the name of an input, got {text[:80]!r}")
    return text


def _version(name: str, value: Any) -> str:
    text = _text(name, value)
    try:
        return version_id(text) if text else ""
    except InputError as error:
        _refuse(name, str(error))


def _hardware(name: str, value: Any) -> str:
    return _one_of(*DOLLARS_PER_SECOND)(name, value)


def _prices(name: str, value: Any) -> dict[str, float]:
    if not isinstance(value, dict):
        _refuse(name, "must be an object of dollars a second by hardware")
    for sku, price in value.items():
        if sku not in prices({}):
            _refuse(name, f"unknown hardware {sku[:80]!r}; known are {', '.join(prices({}))}")
        _number(name, price, 0.0, 1.0)
    return {sku: float(price) for sku, price in value.items()}


def _public_url(name: str, value: Any) -> str:
    """An address without a path: the console appends its own."""
    text = _text(name, value).rstrip("/")
    if not text:
        return ""
    parts = _address(name, text, ("https", "http"))
    if parts.path or parts.query or parts.fragment or parts.username is not None:
        _refuse(name, f"must be a public address without path, e.g. https://host.example, got {text[:80]!r}")
    return text


def _proxy(name: str, value: Any) -> str:
    text = _text(name, value)
    if text:
        _address(name, text, ("http", "https"))
    return text


def _address(name: str, text: str, schemes: tuple[str, ...]) -> Any:
    shown = without_password(text) if "@" not in text.rpartition("/")[2] or "://" in text else "…"
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises for what is no port
    except ValueError:
        _refuse(name, "is no address")
    if parts.scheme not in schemes or not parts.hostname:
        _refuse(name, f"must start with {' or '.join(f'{each}://' for each in schemes)}, got {shown[:80]!r}")
    return parts


def _networks(name: str, value: Any) -> tuple[str, ...]:
    """A list, or one text with commas between them."""
    entries = value.split(",") if isinstance(value, str) else value
    if not isinstance(entries, (list, tuple)):
        _refuse(name, 'must be a list of networks, e.g. ["34.82.0.0/16"]')
    found = []
    for entry in entries:
        found.append(_network(name, str(entry).strip()))  # noqa: PERF401 - it refuses
    return tuple(found)


def _network(name: str, text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        _refuse(name, f"{text[:80]!r} is no network, e.g. 34.82.0.0/16: {error}")


def _zone(name: str, value: Any) -> str:
    text = _text(name, value)
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        _refuse(name, f"is no time zone, e.g. UTC or Europe/Madrid, got {text[:80]!r}")
    return text


def _file(name: str, value: Any) -> str:
    text = _text(name, value)
    if text and not Path(text).is_file():
        _refuse(name, f"there is no file {text[:200]!r}")
    return text


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
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
    "proxy_url": _proxy,
    "ssl_ca_bundle": _file,
    "http_timeout": _seconds,
}
