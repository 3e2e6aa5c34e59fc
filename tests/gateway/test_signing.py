"""Signatures and keys: what others verify, what files may be read by whom, what never shows."""

import base64
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as limit_examples
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from luxscaler.errors import GatewayError
from luxscaler.gateway.addresses import OWNER, Addresses
from luxscaler.gateway.keys import load_keys, read_token_file
from luxscaler.gateway.problems import Problem
from luxscaler.gateway.settings import Settings
from luxscaler.replicate.signing import address_signature, new_id, same, webhook_headers
from tests.support.examples import examples

SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
KEY = b"k" * 32
NOW = 1_800_000_000.0
IDENTIFIER = "abcdefghijklmnopqrstuvwx23"


def now() -> int:
    return int(datetime.now(UTC).timestamp())


@limit_examples(max_examples=examples(30))
@given(st.dictionaries(st.text(), st.text() | st.floats(allow_nan=False)))
def test_another_library_verifies_every_webhook(body: dict[str, object]) -> None:
    import json

    raw = json.dumps(body).encode()
    assert Webhook(SECRET).verify(raw, webhook_headers(SECRET, "msg_1", now(), raw)) == body


def test_a_changed_webhook_is_not_verified() -> None:
    raw = b'{"status": "failed"}'
    headers = webhook_headers(SECRET, "msg_1", now(), raw)
    for changed in (
        (raw.replace(b"failed", b"passed"), headers),
        (raw, headers | {"webhook-id": "msg_2"}),
        (raw, headers | {"webhook-timestamp": str(now() - 1)}),
        (raw, webhook_headers(SECRET, "msg_1", now() - 3600, raw)),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(*changed)


def test_ids_look_like_the_apis() -> None:
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(name) == 26 and name.isalnum() and name == name.lower() for name in ids)


@limit_examples(max_examples=examples(30))
@given(st.lists(st.text(), min_size=1, max_size=4), st.lists(st.text(), min_size=1, max_size=4))
def test_only_the_same_parts_have_the_same_signature(left: list[str], right: list[str]) -> None:
    equal = address_signature(KEY, *left) == address_signature(KEY, *right)
    assert equal == (left == right)


def test_secrets_are_compared_as_text() -> None:
    assert same("ä", "ä")
    assert not same("\udcff", "a")


def addresses(folder: Path) -> Addresses:
    settings = Settings(
        ("http://127.0.0.1:5000",), folder, public_url="http://public:1", cog_facing_url="http://inner:2/"
    )
    return Addresses(settings, KEY)


def test_addresses_hold_for_their_file_and_time_only(tmp_path: Path) -> None:
    made = addresses(tmp_path)
    address = made.output(IDENTIFIER, "output.exr", NOW + 60)
    assert address.startswith(f"http://public:1/outputs/{IDENTIFIER}/output.exr?expiry=1800000060&signature=")
    signature = address.rpartition("=")[2]
    made.check_output(IDENTIFIER, "output.exr", "1800000060", signature, NOW)
    for name, expiry, at in (
        ("output-1.exr", "1800000060", NOW),
        ("output.exr", "1900000060", NOW),
        ("output.exr", "1800000060", NOW + 61),
        ("output.exr", "x", NOW),
    ):
        with pytest.raises(Problem):
            made.check_output(IDENTIFIER, name, expiry, signature, at)
    with pytest.raises(Problem):
        made.check_download("output.exr", OWNER, "1800000060", signature, NOW)


def test_cog_gets_our_own_addresses_in_a_form_that_it_can_read(tmp_path: Path) -> None:
    made = addresses(tmp_path)
    assert made.for_cog(f"http://public:1/v1/files/{IDENTIFIER}", str.upper) == IDENTIFIER.upper()
    assert (
        made.for_cog("http://public:1/outputs/x/o.exr?a=b", str.upper) == "http://inner:2/outputs/x/o.exr?a=b"
    )
    for other in ("http://public:11/v1/files/x", "https://elsewhere/a.png", "data:,x", "", "text"):
        assert made.for_cog(other, str.upper) == other


def test_keys_are_made_once_and_are_their_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    before = os.umask(0)
    try:
        keys = load_keys(folder)
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert load_keys(folder) == keys
    assert keys.token not in repr(keys)
    assert keys.webhook_secret not in repr(keys)


def test_a_given_token_is_not_written_down(tmp_path: Path) -> None:
    assert load_keys(tmp_path, "given-token").token == "given-token"
    assert all("given-token" not in path.read_text() for path in tmp_path.iterdir())
    with pytest.raises(GatewayError, match="at least 8"):
        load_keys(tmp_path, "short")


def test_token_files(tmp_path: Path) -> None:
    path = tmp_path / "token"
    with pytest.raises(GatewayError, match="cannot read"):
        read_token_file(path)
    path.write_text(" \n")
    with pytest.raises(GatewayError, match="empty"):
        read_token_file(path)
    path.write_text("the-token\n")
    assert read_token_file(path) == "the-token"


def test_a_folder_that_cannot_be_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(GatewayError, match="cannot use the folder"):
        load_keys(tmp_path / "file")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"cogs": ()}, "at least one"),
        ({"cogs": ("ftp://x",)}, "not an http address"),
        ({"cogs": ("http://x", "http://x")}, "named twice"),
        ({"model": "NoOwner"}, "owner/name"),
        ({"version": "abc"}, "64 hexadecimal"),
        ({"port": 70000}, "1 to 65535"),
        ({"public_url": "x"}, "not an http address"),
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, object], says: str, tmp_path: Path) -> None:
    with pytest.raises(GatewayError, match=says):
        Settings(**{"cogs": ("http://127.0.0.1:1",), "data": tmp_path, **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)],
)
def test_which_hosts_are_loopback(host: str, loopback: bool, tmp_path: Path) -> None:
    assert Settings(("http://127.0.0.1:1",), tmp_path, host=host).is_loopback == loopback


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:7"), ("0.0.0.0", "http://127.0.0.1:7"), ("::1", "http://[::1]:7")],
)
def test_addresses_of_its_own(host: str, url: str, tmp_path: Path) -> None:
    settings = Settings(("http://127.0.0.1:1",), tmp_path, host=host, port=7)
    assert (settings.base_url, settings.address_for_cog) == (url, url)
