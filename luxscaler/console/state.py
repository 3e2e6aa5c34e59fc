"""One console put together: every part built from settings and a clock, none of them global."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from luxscaler.clock import Clock
from luxscaler.console.database import FILE_NAME, Database
from luxscaler.console.deliveries import Deliveries
from luxscaler.console.engine import Engine
from luxscaler.console.jobs import Jobs
from luxscaler.console.local.runner import LocalRunner
from luxscaler.console.models import Models
from luxscaler.console.pictures import Pictures
from luxscaler.console.previews import PreviewRoom
from luxscaler.console.provider import Provider
from luxscaler.console.provider_settings import ProviderSettingsStore
from luxscaler.console.publications import Publications
from luxscaler.console.results import Results
from luxscaler.console.schedule import Alarm
from luxscaler.console.sending import Sender
from luxscaler.console.sessions import Sessions
from luxscaler.console.settings import Settings
from luxscaler.console.spending import Spending
from luxscaler.console.submissions import Submissions
from luxscaler.console.token import TokenRoom
from luxscaler.console.transitions import Transitions
from luxscaler.console.webhooks import Receiver
from luxscaler.errors import ConsoleError
from luxscaler.private_files import locked, own_folder, private_folder
from luxscaler.replicate.pace import Pace


@dataclass(frozen=True)
class Console:
    """The parts of a console that the routes use."""

    settings: Settings
    clock: Clock
    tokens: TokenRoom
    provider: Provider
    provider_settings: ProviderSettingsStore
    jobs: Jobs
    spending: Spending
    submissions: Submissions
    receiver: Receiver
    results: Results
    models: Models
    publications: Publications
    sessions: Sessions
    engine: Engine
    pictures: Pictures
    previews: PreviewRoom


@contextmanager
def running_console(settings: Settings, clock: Clock) -> Iterator[Console]:
    """A running console, which ends with the block. Raises ConsoleError, also if another has the folder."""
    with _only_console(settings.data), _parts(settings, clock) as console:
        yield console


@contextmanager
def _only_console(folder: Path) -> Iterator[None]:
    """Keep other consoles out of the folder: two would pay for the same jobs. Raises ConsoleError."""
    try:
        own_folder(folder, [FILE_NAME], ["secrets", "lock"])
        with locked(folder / "lock"):
            yield
    except BlockingIOError as error:
        raise ConsoleError(f"another console works in the folder {str(folder)!r}") from error
    except OSError as error:
        raise ConsoleError(f"cannot use the folder {str(folder)!r}: {error.strerror}") from error


@contextmanager
def _parts(settings: Settings, clock: Clock) -> Iterator[Console]:
    database, pace = Database(settings.data / FILE_NAME), Pace(clock=clock)
    tokens = TokenRoom(settings.data / "secrets", settings.environment_token)
    provider_settings, jobs = ProviderSettingsStore(database), Jobs(database, clock)
    provider = Provider(settings, tokens, provider_settings, pace)
    transitions, spending = Transitions(jobs, clock), Spending(database, clock)
    uploads, computed = settings.data / "uploads", settings.data / "local"
    try:
        private_folder(uploads)
        private_folder(computed)
        for left in uploads.glob("*.zip"):  # of a run that was killed
            left.unlink()
        results = Results(settings, provider, jobs, clock, settings.data / "results")
        pictures = Pictures(settings, jobs, clock)
        previews = PreviewRoom(settings.data / "previews", provider_settings)
    except OSError as error:
        raise ConsoleError(f"cannot use the folder {str(settings.data)!r}: {error.strerror}") from error
    publications = Publications(jobs, results, provider_settings, settings.delivery_environment, clock)
    sender = Sender(settings, provider, jobs, transitions, publications, pace, uploads)
    models, alarm = Models(jobs, results), Alarm()
    local = LocalRunner(
        settings,
        provider_settings,
        jobs,
        transitions,
        results,
        models,
        publications,
        pace,
        computed,
        alarm,
    )
    engine = Engine(
        settings, provider, jobs, transitions, sender, results, models, local, publications, pace, alarm
    )
    receiver = Receiver(provider, Deliveries(jobs, transitions, clock, alarm.ring_for), clock)
    engine.start()
    receiver.start()
    try:
        yield Console(
            settings,
            clock,
            tokens,
            provider,
            provider_settings,
            jobs,
            spending,
            Submissions(settings, provider_settings, jobs, spending, models, publications, clock),
            receiver,
            results,
            models,
            publications,
            Sessions(database, clock, settings.password, settings.session_seconds),
            engine,
            pictures,
            previews,
        )
    finally:
        previews.stop()
        receiver.stop()
        engine.stop()
        provider.close()
        database.close()


def console_of(request: Request) -> Console:
    """The console that a request came to."""
    found = request.app.state.console
    assert isinstance(found, Console)  # noqa: S101 - app.py put it there
    return found


Here = Annotated[Console, Depends(console_of)]
"""The console as a parameter of a route."""
