"""Publishing to the Hub, by the real huggingface_hub against a stand-in for its server."""

import logging
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from luxscaler.errors import InputError, PublishError
from luxscaler.publishing.destinations import HubDestination, Network, hub_of
from luxscaler.publishing.package import packaged
from luxscaler.publishing.publish import check, publish
from tests.support.fake_hub import FakeHub, Repo, fake_hub
from tests.support.published import write_trained


@pytest.fixture(scope="module")
def server() -> Iterator[FakeHub]:
    with fake_hub() as running:
        yield running


@pytest.fixture
def hub(server: FakeHub) -> FakeHub:
    server.__init__(url=server.url)  # type: ignore[misc] # as it was at first
    return server


def _destination(hub: FakeHub, repo: str = "alice/mine", *, public: bool = False) -> HubDestination:
    return HubDestination(repo, "hf_good", public, hub.url)


def _send(model: Path, destination: HubDestination) -> str:
    with packaged(model) as package:
        return publish(package, destination)


@pytest.mark.slow
def test_a_training_becomes_a_private_repository_with_card_and_samples(hub: FakeHub, tmp_path: Path) -> None:
    model = write_trained(tmp_path)
    assert _send(model, _destination(hub)) == f"{hub.url}/alice/mine"
    repo = hub.repos["alice/mine"]
    assert repo.private
    assert repo.files.keys() == {
        *("README.md", "mine.safetensors", "mine.adapter.safetensors", "report.html", "metrics.jsonl"),
        *("samples/0000003.png", "samples/0000006.png", "samples/0000009.png"),
    }
    assert repo.files["mine.safetensors"] == model.read_bytes()
    card = repo.files["README.md"].decode()
    assert card.startswith("---\nlibrary_name: luxscaler\n")
    assert "27.13" in card
    assert "(samples/0000006.png)" in card  # of the step that was kept
    assert len(repo.commits) == 1


@pytest.mark.slow
def test_the_check_makes_the_repository_and_sends_no_file(hub: FakeHub) -> None:
    check(_destination(hub, "mine"))
    assert hub.repos["alice/mine"] == Repo(private=True)


def test_a_public_repository_only_if_that_is_said(hub: FakeHub, tmp_path: Path) -> None:
    model = write_trained(tmp_path)
    hub.repos["alice/mine"] = Repo(private=False)
    with pytest.raises(PublishError, match="alice/mine is public"):
        _send(model, _destination(hub))
    assert not hub.repos["alice/mine"].files
    _send(model, _destination(hub, public=True))
    _send(model, _destination(hub, "alice/new", public=True))
    assert not hub.repos["alice/new"].private


def test_an_expired_and_an_unknown_token_have_their_own_lines(hub: FakeHub) -> None:
    hub.expired.add("hf_old")
    with pytest.raises(PublishError, match="token in HF_TOKEN has expired: make one with write access"):
        check(HubDestination("alice/mine", "hf_old", endpoint=hub.url))
    with pytest.raises(PublishError, match="is not accepted"):
        check(HubDestination("alice/mine", "hf_unknown", endpoint=hub.url))
    with pytest.raises(PublishError, match="HF_TOKEN not set"):
        hub_of("alice/mine", {})


@pytest.mark.parametrize("exists", [False, True])
def test_a_token_that_may_only_read_is_refused_by_the_check(hub: FakeHub, exists: bool) -> None:
    hub.readers.add("hf_good")
    if exists:
        hub.repos["alice/mine"] = Repo(private=True)
    with pytest.raises(PublishError, match="of alice, may not write to alice/mine"):
        check(_destination(hub))


def test_somebody_elses_repository_is_refused(hub: FakeHub) -> None:
    hub.repos["bob/his"] = Repo(private=True)
    for repo in ("bob/his", "bob/none"):
        with pytest.raises(PublishError, match=f"may not write to {repo}"):
            check(_destination(hub, repo))


@pytest.mark.parametrize("where", ["PUT", "POST /commit/", "POST /preupload/"])
def test_a_failed_upload_loses_nothing_and_can_be_repeated(hub: FakeHub, tmp_path: Path, where: str) -> None:
    model = write_trained(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    hub.refuse[where] = 403
    with pytest.raises(PublishError, match=r"the Hub at .*(told to refuse|Forbidden)"):
        _send(model, _destination(hub))
    assert not hub.repos["alice/mine"].files
    hub.refuse.clear()
    _send(model, _destination(hub))
    assert hub.repos["alice/mine"].files["mine.safetensors"] == model.read_bytes()
    assert {path: path.read_bytes() for path in before} == before


def test_no_answer_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        PublishError, match=r"the Hub at http://127.0.0.1:9 cannot be used: .*refused"
    ) as caught:
        check(HubDestination("alice/mine", "hf_good", endpoint="http://127.0.0.1:9"))
    assert "\n" not in str(caught.value)


def test_the_proxy_that_was_chosen_is_used(hub: FakeHub) -> None:
    hub.repos["alice/mine"] = Repo(private=True)
    destination = HubDestination("alice/mine", "hf_good", endpoint="http://hub.invalid")
    check(destination, Network(proxy=hub.url))  # the stand-in takes a proxy's request too
    assert hub.seen[0][1] == "http://hub.invalid/api/whoami-v2"


def test_the_token_is_in_no_message_log_repr_or_traceback(
    hub: FakeHub, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    canary = "hf_CANARYcanary0123456789"
    said = []
    for tokens, refuse in (({}, {}), ({canary: "alice"}, {"PUT": 403}), ({canary: "alice"}, {})):
        hub.tokens, hub.refuse = dict(tokens), dict(refuse)
        destination = hub_of("alice/mine", {"HF_TOKEN": f" {canary}\n", "HF_ENDPOINT": hub.url})
        said.append(repr(destination))
        try:
            said.append(_send(write_trained(_folder(tmp_path, len(said))), destination))
        except PublishError as error:
            said.append("".join(traceback.format_exception(error)))
    assert len(said) == 6
    assert any(canary in headers.get("authorization", "") for _, _, headers, _ in hub.seen)
    assert all(canary.encode() not in body for *_, body in hub.seen)
    output = capfd.readouterr()
    assert canary not in "\n".join([*said, caplog.text, output.out, output.err])


@pytest.mark.parametrize(
    "repo", ["a/b/c", "-a/b", "a/b.", "a/..", "a b", "a/", "/a", "x" * 200, "ä/b", "a--b"]
)
def test_a_name_that_is_none_is_refused(repo: str) -> None:
    with pytest.raises(InputError, match="the Hub repository is"):
        HubDestination(repo, "hf_good")


@pytest.mark.parametrize("token", ["hf_a b", "hf_\n", "hf_é"])
def test_a_token_that_no_header_can_hold_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(PublishError, match="HF_TOKEN holds characters") as caught:
        HubDestination("alice/mine", token)
    assert token not in str(caught.value)


def _folder(parent: Path, number: int) -> Path:
    folder = parent / str(number)
    folder.mkdir()
    return folder


@pytest.mark.parametrize("answer", [{"odd": 1}, [], "text"])
def test_a_server_that_is_no_hub_is_one_line(
    hub: FakeHub, answer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.answers["/api/whoami-v2"] = answer
    with pytest.raises(PublishError, match="gives answers that are not the Hub's"):
        check(_destination(hub))


def test_publishing_the_same_again_makes_no_error(hub: FakeHub, tmp_path: Path) -> None:
    model = write_trained(tmp_path)
    _send(model, _destination(hub))
    _send(model, _destination(hub))
    assert len(hub.repos["alice/mine"].commits) == 2
    assert sum(method == "PUT" for method, *_ in hub.seen) == 5  # no large file is sent twice
