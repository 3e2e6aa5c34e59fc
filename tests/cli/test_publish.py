"""`luxscaler publish`, and `luxscaler train` with a place to publish at: one line, in time, no secret."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from luxscaler.cli.main import app
from tests.support.fake_hub import FakeHub, fake_hub
from tests.support.published import write_trained
from tests.support.training_files import write_base, write_pictures

CANARY = "hf_CANARYcanaryCANARY"


@pytest.fixture(scope="module")
def server() -> Iterator[FakeHub]:
    with fake_hub() as running:
        yield running


@pytest.fixture
def hub(server: FakeHub, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    server.__init__(url=server.url, tokens={CANARY: "alice"})  # type: ignore[misc] # as it was at first
    for name, value in (("HF_TOKEN", CANARY), ("HF_ENDPOINT", server.url), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    return server


def _run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(each) for each in arguments], prog_name="luxscaler")
    assert CANARY not in result.output
    return result


def test_one_place_that_fails_does_not_keep_the_others_from_it(hub: FakeHub, tmp_path: Path) -> None:
    model = write_trained(tmp_path)
    hub.refuse["POST /commit/"] = 403
    result = _run("publish", model, "--hub", "alice/mine", "--folder", tmp_path / "shelf")
    assert result.exit_code == 1
    assert f"published at {tmp_path / 'shelf' / 'mine'}" in result.stdout
    again = f"luxscaler publish {model} --hub alice/mine --folder {tmp_path / 'shelf'}"
    assert again in result.stderr
    hub.refuse.clear()
    result = _run(*again.split()[1:])
    assert result.exit_code == 0, result.output
    assert f"published at {hub.url}/alice/mine" in result.stdout


def test_what_is_wrong_is_one_line(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_trained(tmp_path)
    for arguments, words in (
        ((model,), "nowhere to publish to"),
        ((tmp_path / "none.safetensors", "--hub", "alice/mine"), "no such file"),
        ((model, "--s3", "bucket"), "must be s3://BUCKET/PREFIX"),
        ((model, "--public", "--folder", tmp_path), "--public is about the Hub"),
        ((model, "--s3-endpoint", "http://127.0.0.1:9"), "no s3://BUCKET is named"),
    ):
        result = _run("publish", *arguments)
        assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
        assert words in result.stderr
    monkeypatch.delenv("HF_TOKEN")
    assert "HF_TOKEN not set" in _run("publish", model, "--hub", "alice/mine").stderr


def test_an_expired_token_is_found_before_the_training(hub: FakeHub, tmp_path: Path) -> None:
    hub.tokens.clear()
    hub.expired.add(CANARY)
    pictures, out = write_pictures(tmp_path / "p", 6), tmp_path / "out.safetensors"
    result = _run("train", pictures, out, "--push-to-hub", "alice/mine")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: the token in HF_TOKEN has expired")
    assert sorted(tmp_path.iterdir()) == [pictures]


@pytest.mark.slow
def test_a_training_is_published_and_stays_if_that_fails(hub: FakeHub, tmp_path: Path) -> None:
    pictures, out = write_pictures(tmp_path / "p", 6), tmp_path / "out.safetensors"
    base = write_base(tmp_path / "base.safetensors")
    tiny = ("--steps", 4, "--every", 2, "--crop", 16, "--batch", 2, "--rank", 2, "--degradation", "clean")
    hub.refuse["PUT"] = 403
    result = _run("train", pictures, out, "--base", base, "--lr", 0.03, *tiny, "--push-to-hub", "alice/mine")
    assert result.exit_code == 1
    assert out.is_file()
    assert f"again: luxscaler publish {out} --hub alice/mine" in result.stderr
    hub.refuse.clear()
    assert _run("publish", out, "--hub", "alice/mine").exit_code == 0
    files = hub.repos["alice/mine"].files
    assert files["out.safetensors"] == out.read_bytes()
    assert b"held-out picture" in files["README.md"]
    assert any(name.startswith("samples/") for name in files)
