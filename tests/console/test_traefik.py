"""Traefik's configuration, read as its documentation says; Traefik itself is started by no test.

By that documentation `Path` matches a whole path, `buffering` refuses larger bodies (413), the Host header is
passed on, and X-Forwarded-For of a caller is replaced unless `forwardedHeaders` trusts its address.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import tomllib

from luxscaler.console.sending import WEBHOOK_PATH
from luxscaler.console.settings import Settings
from tests.conftest import ROOT

FILE = ROOT / "examples" / "console" / "traefik.toml"


@pytest.fixture
def dynamic() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def test_one_router_lets_one_path_of_one_host_in(dynamic: dict[str, Any]) -> None:
    (router,) = dynamic["http"]["routers"].values()
    matchers = dict(re.findall(r"(\w+)\(`([^`]+)`\)", router["rule"]))
    assert matchers == {"Host": "console.example", "Path": WEBHOOK_PATH}
    assert re.sub(r"\w+\(`[^`]+`\)", "", router["rule"]).strip() == "&&"
    assert router["entryPoints"] == ["websecure"]
    assert router["tls"] == {}
    assert {"certFile", "keyFile"} == set(dynamic["tls"]["certificates"][0])


def test_what_it_names_is_there(dynamic: dict[str, Any], tmp_path: Path) -> None:
    (router,) = dynamic["http"]["routers"].values()
    settings = Settings(tmp_path)
    (middleware,) = (dynamic["http"]["middlewares"][name] for name in router["middlewares"])
    assert middleware == {"buffering": {"maxRequestBodyBytes": settings.max_webhook_bytes}}
    balancer = dynamic["http"]["services"][router["service"]]["loadBalancer"]
    assert balancer["servers"] == [{"url": settings.url}]
    assert balancer["passHostHeader"] is True


def test_callers_cannot_choose_their_address(dynamic: dict[str, Any]) -> None:
    assert "forwardedHeaders" not in str(dynamic)
    assert set(dynamic) == {"http", "tls"}
