"""The page for eyes, browsers and lines that are not the usual ones: zoom, few colours, paper, no storage, a
session that ends, a slow console."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.support.console_server import ConsoleServer, console_server
from tests.support.fake_previews import fake_previews
from tests.support.page_walk import begin_walk, end_walk, needs_chromium
from tests.support.replicate_account import Account

PAGE = ROOT / "luxscaler" / "console" / "page"
TABS = ("cloud", "upscale", "jobs", "train", "masters", "spending")
PASSWORD = "correct horse"


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network computes."""
    monkeypatch.setattr("luxscaler.console.local.commands._upscaling", lambda *_: ["true"])
    monkeypatch.setattr("luxscaler.console.previews._command", fake_previews)


def _walk(console: ConsoleServer, name: str, **more: Any) -> dict[str, Any]:
    return end_walk(begin_walk(console, script="page_conditions.mjs", walk=name, **more))


def _upload(console: ConsoleServer, picture: Path, name: str) -> None:
    answer = console.post("/api/upscale/pictures", params={"name": name}, content=picture.read_bytes())
    assert answer.status_code == 201


def _finished(console: ConsoleServer, account: Account, picture: Path) -> str:
    """A job that has ended, with a long log."""
    job = console.submit(kind="master", source=str(picture))
    console.until(job, "queued")
    account.tell(account.runs[-1], "processing", logs="a line\n" * 90)
    account.finish(account.runs[-1], seconds=1.0)
    console.until(job, "completed")
    return job


@pytest.mark.slow
@needs_chromium
def test_large_letters_few_colours_and_paper(account: Account, console: ConsoleServer, picture: Path) -> None:
    """WCAG 1.4.10, 1.4.11, 1.4.12; what a ground tells is told where the system chooses the colours too."""
    for name in ("a name that is rather long " * 7, "صورة العائلة.png"):
        _upload(console, picture, name)
    job = _finished(console, account, picture)
    found = _walk(console, "sight", tabs=[*TABS, f"jobs/{job}"])["result"]
    assert {view: names for view, names in found["outside"].items() if names} == {}
    assert {view: names for view, names in found["faint"].items() if names} == {}
    assert len(found["outside"]) == 2 * len(found["faint"]) == 56
    for chosen, other in found["forced"]:
        assert chosen != other
    assert found["moving"] == 0
    assert found["paper"] == {
        "ink": "rgb(28, 27, 26)",
        "card": "rgb(255, 255, 255)",
        "seen": ["job-title", "job-log"],
        "cut": False,
    }


@pytest.mark.slow
@needs_chromium
def test_the_way_back_does_not_lead_into_a_job_that_was_closed(
    account: Account, console: ConsoleServer, picture: Path
) -> None:
    _finished(console, account, picture)
    found = _walk(console, "back")["result"]
    assert found["closed"] == ["#jobs", False, "job"]
    assert found["back"][:2] == ["#upscale", False]
    assert found["left"] == "about:blank"


@pytest.mark.slow
@needs_chromium
def test_a_browser_that_keeps_nothing(console: ConsoleServer, picture: Path) -> None:
    _upload(console, picture, "scan.png")
    found = _walk(console, "storage")
    words = (
        "This browser keeps nothing for the page: it is known until this window is closed or loaded again."
    )
    assert found == {"result": {"denied": words, "full": words}, "said": []}


@pytest.mark.slow
@needs_chromium
def test_a_session_that_ends(account: Account, picture: Path, tmp_path: Path) -> None:
    """It ends behind a dialog; that Replicate refuses a token ends none, and nothing typed is lost."""
    with console_server(tmp_path, account.url, password=PASSWORD, environment_token="") as console:
        key = console.post("/api/session", json={"password": PASSWORD}).json()["token"]
        console.http.headers["authorization"] = f"Bearer {key}"
        job = console.submit(kind="master", place="here", source=str(picture))
        console.until(job, "completed", "failed")
        found = _walk(console, "session", password=PASSWORD)["result"]
    assert found == {"focus": "content", "notice": "", "kept": "http://proxy.example:3128"}


@pytest.mark.slow
@needs_chromium
def test_a_slow_console(account: Account, tmp_path: Path, picture: Path) -> None:
    pictures = [tmp_path / f"{name}.png" for name in ("first", "second", "last")]
    for path in pictures:
        path.write_bytes(picture.read_bytes())
    with console_server(tmp_path, account.url) as console:
        jobs = [console.submit(kind="master", place="here", source=str(picture)) for _ in range(23)]
        for job in jobs:
            console.until(job, "completed", "failed")
        found = _walk(console, "slow", pictures=[str(path) for path in pictures])["result"]
    assert not found["early"], "that there is no picture is not said before it is known"
    assert found["notice"] == ""
    assert found["chosen"] == "second.png", "who has chosen one meanwhile keeps it"
    assert found["removed"] == ["Remove second.png", "second.png"]
    assert found["elsewhere"] == "Nothing was taken: pictures are dropped in the tab Upscale."
    assert found["older"] == [23, ""], "a notice of what was done before is gone"
    assert found["plain"].startswith("This page needs JavaScript.")


def test_all_modules_are_asked_for_at_once() -> None:
    """Else the browser would find them one by one, an answer after the other."""
    page = (PAGE / "index.html").read_text(encoding="utf-8")
    named = [path.name for path in PAGE.glob("*.js") if f'href="/static/{path.name}"' not in page]
    assert named == ["main.js"]
