"""What can be changed about Replicate while the console runs, checked as one value and kept in the database.

A change names some settings; the others stay. A wrong one is refused with its name, and nothing is changed.
"""

import ipaddress
import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from luxscaler.console.database import Database
from luxscaler.console.hardware import DEFAULT_HARDWARE
from luxscaler.console.setting_checks import CHECKS, refuse, without_password

_KEY = "replicate"


@dataclass(frozen=True)
class ProviderSettings:
    """How the console uses Replicate."""

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
    deliver_hub: str = ""
    """owner/name at the Hugging Face Hub, where trained models go; empty: nowhere."""
    deliver_hub_public: bool = False
    """Whether that repository may be public."""
    deliver_s3: str = ""
    """s3://BUCKET/PREFIX, where all results go; empty: nowhere."""
    deliver_s3_endpoint: str = ""
    """Address of storage that is not AWS's."""
    proxy_url: str = ""
    """The proxy for all calls of the console; empty: none."""
    ssl_ca_bundle: str = ""
    """A PEM file of certificates, instead of the usual ones."""
    http_timeout: float = 30.0
    """Longest wait for an answer, in seconds."""

    def shown(self) -> dict[str, Any]:
        """The settings as JSON, without the proxy's password."""
        return {**asdict(self), "proxy_url": without_password(self.proxy_url)}

    def merged(self, changes: Mapping[str, Any]) -> "ProviderSettings":
        """The settings with some changed. Raises Problem (400) that names the wrong one."""
        values: dict[str, Any] = {}
        for name, value in changes.items():
            check = CHECKS.get(name)
            if check is None:
                refuse(name, f"unknown setting; known are {', '.join(CHECKS)}")
            values[name] = check(name, value)
        if values.get("proxy_url") and values["proxy_url"] == without_password(self.proxy_url):
            values["proxy_url"] = self.proxy_url  # it came back as it was shown
        return replace(self, **values)


class ProviderSettingsStore:
    """The settings in the database, kept in memory too: this console alone changes them, and webhooks ask for
    them a thousand times a second."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changes = threading.Lock()
        self._now = self._read()

    def get(self) -> ProviderSettings:
        """The current settings."""
        return self._now

    def _read(self) -> ProviderSettings:
        """As they were kept, after the checks. They are not checked again: a file that is gone since would
        leave a console that cannot even be told another."""
        rows = self._database.rows("SELECT value FROM settings WHERE name = ?", [_KEY])
        kept = json.loads(rows[0][0]) if rows else {}
        known = {each.name for each in fields(ProviderSettings)}
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in kept.items()
            if name in known
        }
        return ProviderSettings(**values)

    def change(self, changes: Mapping[str, Any]) -> ProviderSettings:
        """Change some settings and store them. Raises Problem (400)."""
        with self._changes:  # one after the other in memory too, or an earlier one would come into force last
            with self._database.transaction():
                merged = self._read().merged(changes)
                self._database.run(
                    "INSERT INTO settings (name, value) VALUES (?, ?) "
                    "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    [_KEY, json.dumps(asdict(merged))],
                )
            self._now = merged
        return merged


def networks(texts: tuple[str, ...]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """The networks in texts that were checked."""
    return [ipaddress.ip_network(text) for text in texts]
