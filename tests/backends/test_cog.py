"""Cog containers as a place for tiles: busy ones, lost ones, broken ones, and the real server."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import httpx
import numpy as np
import pytest

from luxscaler.backends import exr_transport
from luxscaler.backends.base import MasterContext, Session, Tile, TileOutput
from luxscaler.backends.cog.backend import CogBackend
from luxscaler.backends.cog.session import CogOptions, CogSession
from luxscaler.cog import messages
from luxscaler.errors import BackendError, InputError, StoppedError, TileError
from tests.support.fake_cog import FakeCog, Fault, fake_cog
from tests.support.tiles import a_context, a_tile, enlarged

pytestmark = pytest.mark.usefixtures("decoded_here")

QUICK = CogOptions(start=5.0, tile=5.0, busy=5.0, look_again=0.05, all_lost=0.1)


def _open(
    *cogs: FakeCog, options: CogOptions = QUICK, context: MasterContext | None = None
) -> AbstractContextManager[CogSession]:
    return CogBackend([cog.url for cog in cogs], options).open(context or a_context())


def _run_all(session: Session, tiles: list[Tile], workers: int) -> list[TileOutput]:
    """Every tile, again and again while an attempt fails, as a scheduler would."""

    def until_done(tile: Tile) -> TileOutput:
        for _ in range(50):
            try:
                return session.run(tile).on_host()
            except TileError as error:  # noqa: PERF203
                time.sleep(min(error.delay, 0.01))
        raise AssertionError(f"tile {tile.index} was never done")

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(until_done, tiles))


def test_a_tile_and_its_inputs_get_there_and_back() -> None:
    with fake_cog() as cog, _open(cog) as session:
        tile = a_tile(1, tiles=3)
        result = session.run(tile).on_host()
        assert session.workers == 1 + 1
    np.testing.assert_array_equal(result.rgb, enlarged(tile))
    assert result.alpha is None
    assert result.dollars == 0
    inputs = cog.predictions[0].input
    reference = inputs.pop("global_reference")
    assert inputs.pop("tile_input").startswith("data:image/x-exr;base64,")
    assert reference.startswith("data:image/x-exr;base64,")
    assert inputs == {
        "tile_box": "0.3333333333333333,0.0,0.3333333333333333,1.0",
        "output_format": "exr",
        "fractality": 1.0,
        "scale": 2.0,
        "model": "fast",
    }


@pytest.mark.slow
def test_two_containers_share_the_tiles() -> None:
    tiles = [a_tile(index, tiles=12) for index in range(12)]
    with fake_cog(seconds=0.01) as one, fake_cog(seconds=0.01) as two, _open(one, two) as session:
        assert session.workers == 2 + 1
        results = _run_all(session, tiles, 2)
    for tile, result in zip(tiles, results, strict=True):
        np.testing.assert_array_equal(result.rgb, enlarged(tile))
    assert min(len(one.predictions), len(two.predictions)) >= 3
    assert len(one.predictions) + len(two.predictions) == 12


def test_ids_say_job_tile_and_attempt_and_the_job_outlives_the_process() -> None:
    context = a_context()
    with fake_cog() as cog:
        for attempt in (1, 2):
            with _open(cog, context=context) as session:
                session.run(a_tile(7, attempt, tiles=9))
    first, second = (prediction.id.rsplit("-", 2) for prediction in cog.predictions)
    assert first[0] == second[0]
    assert (first[1:], second[1:]) == (["7", "1"], ["7", "2"])


def test_those_that_do_not_answer_are_named() -> None:
    with fake_cog() as cog, fake_cog() as gone:
        gone.vanish()
        with (
            pytest.raises(BackendError, match=rf"no answer from 1 Cog container\(s\): {gone.url}: "),
            _open(cog, gone),
        ):
            pass


def test_a_setup_that_runs_is_waited_for() -> None:
    with fake_cog(health="STARTING") as cog:
        threading.Timer(0.05, setattr, (cog, "health", "READY")).start()
        with _open(cog) as session:
            session.run(a_tile())


@pytest.mark.parametrize("health", ["STARTING", "DEFUNCT"])
def test_containers_that_never_get_ready_are_done_without(health: str) -> None:
    options = CogOptions(start=0.05, look_again=10.0)
    with fake_cog() as cog, fake_cog(health=health) as broken:
        with _open(cog, broken, options=options) as session:
            assert session.workers == 1 + 1
            session.run(a_tile())
        with (
            pytest.raises(BackendError, match=rf"no Cog container can be used: .*{health}"),
            _open(broken, options=options),
        ):
            pass


def test_what_answers_has_to_be_cog() -> None:
    with (
        fake_cog(health={"not": "cog"}) as cog,
        pytest.raises(BackendError, match="no Cog server"),
        _open(cog),
    ):
        pass


def test_a_busy_container_is_waited_for() -> None:
    with fake_cog(fault="refuse") as cog, _open(cog) as session:
        threading.Timer(0.15, setattr, (cog, "fault", None)).start()
        session.run(a_tile())
        assert cog.calls["PUT /predictions/{id}"] >= 2


def test_a_container_that_stays_busy_costs_the_tile_nothing() -> None:
    options = CogOptions(busy=0.05)
    with fake_cog(fault="refuse") as cog, _open(cog, options=options) as session:
        with pytest.raises(TileError, match=r"busy for 0\.05 s") as caught:
            session.run(a_tile())
        assert not caught.value.counts


@pytest.mark.slow
def test_a_lost_container_gives_its_tile_to_another_and_comes_back() -> None:
    tiles = [a_tile(index, tiles=12) for index in range(12)]
    with fake_cog(seconds=0.02) as one, fake_cog(seconds=0.02) as two, _open(one, two) as session:
        threading.Timer(0.05, one.vanish).start()
        revival = threading.Timer(0.15, one.revive)
        revival.start()
        results = _run_all(session, tiles, 2)
        revival.join()
        time.sleep(2 * QUICK.look_again)
        seen = len(one.predictions)
        _run_all(session, [a_tile(index, 2, tiles=12) for index in range(5)], 2)
        assert len(one.predictions) > seen
    for tile, result in zip(tiles, results, strict=True):
        np.testing.assert_array_equal(result.rgb, enlarged(tile))


def test_a_container_lost_in_the_middle_costs_the_tile_nothing() -> None:
    with fake_cog(seconds=5.0) as cog, _open(cog) as session:
        threading.Timer(0.05, cog.vanish).start()
        with pytest.raises(TileError, match="is lost") as caught:
            session.run(a_tile())
        assert not caught.value.counts
        with pytest.raises(BackendError, match=rf"no Cog container is left: {cog.url}"):
            session.run(a_tile())


def test_a_worker_that_crashed_is_lost() -> None:
    with fake_cog(fault="500") as cog, _open(cog) as session:
        cog.health = "DEFUNCT"
        with pytest.raises(TileError, match="DEFUNCT") as caught:
            session.run(a_tile())
        assert not caught.value.counts


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("fail", "ValueError: told to fail"),
        ("500", "answers 500"),
        ("cut", "broke"),
        ("html", "no JSON, it starts with '<html>"),
        ("truncate", "broke"),
    ],
)
def test_faults_of_a_container_cost_one_attempt(fault: str, words: str) -> None:
    with fake_cog(fault=fault) as cog, _open(cog) as session:
        with pytest.raises(TileError, match=words) as caught:
            session.run(a_tile())
        assert caught.value.counts
        cog.fault = None
        session.run(a_tile(attempt=2))


@pytest.mark.sample(2)
@pytest.mark.parametrize("output", [b"", b"no picture", None, 7, "https://example.com/a.exr", ["a"]])
def test_outputs_that_are_no_pictures_cost_one_attempt(output: object) -> None:
    wrong = exr_transport.encode(a_tile().picture) if output is None else output
    with fake_cog(output=wrong) as cog, _open(cog) as session, pytest.raises(TileError):
        session.run(a_tile())


def test_a_tile_that_takes_too_long_is_canceled() -> None:
    with fake_cog(seconds=5.0) as cog, _open(cog, options=CogOptions(tile=0.15)) as session:
        with pytest.raises(TileError, match=r"no result within 0\.15 s"):
            session.run(a_tile())
        assert cog.predictions[0].canceled.wait(1)


def _once(what: Callable[[], bool], then: Callable[[], None]) -> None:
    until = time.monotonic() + 5
    while not what() and time.monotonic() < until:
        time.sleep(0.005)
    then()


def test_stop_cancels_what_runs() -> None:
    stop = threading.Event()
    with fake_cog(seconds=30.0) as cog, _open(cog, context=a_context(stop=stop)) as session:
        threading.Thread(target=_once, args=(lambda: bool(cog.predictions), stop.set), daemon=True).start()
        start = time.monotonic()
        with pytest.raises(StoppedError):
            session.run(a_tile())
        assert time.monotonic() - start < 10
        assert cog.predictions[0].canceled.is_set()
        assert cog.calls["POST /predictions/{id}/cancel"] == 1


def test_a_prediction_that_still_runs_under_its_id_is_not_run_beside_itself() -> None:
    with fake_cog(seconds=30.0) as cog, _open(cog) as session:
        name = f"{session.job}-0-1"
        client = httpx.Client(verify=False)
        # As after a connection that broke without the server's notice.
        body = messages.body_of(session.inputs(a_tile()))
        answer = client.put(
            f"{cog.url}/predictions/{name}", content=body, headers={"Prefer": "respond-async"}
        )
        assert answer.status_code == 202
        cog.seconds = 0.0
        session.run(a_tile())
        assert [prediction.status for prediction in cog.predictions] == ["canceled", "succeeded"]


def test_a_request_that_cog_would_not_take_is_refused_before_it_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(messages, "MAX_BODY", 2**20)
    with fake_cog() as cog, _open(cog) as session:
        with pytest.raises(BackendError, match="smaller tiles"):
            session.run(a_tile(side=512))
        assert not cog.predictions


@pytest.mark.parametrize("urls", [[], ["localhost:5000"], ["ftp://a"], ["http://"], ["nonsense"]])
def test_addresses_are_checked(urls: list[str]) -> None:
    with pytest.raises(InputError, match=r"address of a container|Cog container"):
        CogBackend(urls)


def test_seconds_are_checked() -> None:
    with pytest.raises(InputError, match="tile is -1"):
        CogOptions(tile=-1)


@pytest.mark.slow
def test_a_hundred_tiles_through_faults_are_never_wrong(tmp_path: Path) -> None:
    """Containers that fail in every way in turn: each tile comes out right, whatever it took."""
    tiles = [a_tile(index, side=4, tiles=100) for index in range(100)]
    done = threading.Event()
    with ExitStack() as stack:
        cogs = [stack.enter_context(fake_cog()) for _ in range(3)]
        session = stack.enter_context(_open(*cogs))
        faults: tuple[Fault | None, ...] = ("fail", "500", "cut", "html", "truncate", "refuse", None, None)

        def disturb() -> None:
            turn = 0
            while not done.wait(0.03):
                turn += 1
                cogs[turn % 3].fault = faults[turn % len(faults)]
                if turn % 10 == 0:
                    cogs[0].vanish()
                if turn % 10 == 4:
                    cogs[0].vanish()
                    cogs[0].revive()

        thread = threading.Thread(target=disturb)
        thread.start()
        try:
            results = _run_all(session, tiles, 3)
        finally:
            done.set()
            thread.join()
    for tile, result in zip(tiles, results, strict=True):
        np.testing.assert_array_equal(result.rgb, enlarged(tile))
