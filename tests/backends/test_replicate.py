"""Replicate as a place for tiles: the protocol, money, and every fault on the way of a tile."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from random import Random
from typing import Any

import numpy as np
import pytest

from luxscaler.backends.base import Ledger, Session, Tile, TileOutput
from luxscaler.backends.replicate.backend import ReplicateBackend
from luxscaler.backends.replicate.session import ReplicateOptions, ReplicateSession
from luxscaler.errors import BackendError, CostError, InputError, LuxScalerError, StoppedError, TileError
from luxscaler.replicate import api
from luxscaler.replicate.api import ApiOptions
from luxscaler.replicate.prices import Price
from tests.support.fake_replicate import API, TOKEN, VERSION, FakeReplicate
from tests.support.memory_ledger import STEPS, Crash, MemoryLedger
from tests.support.tiles import a_context, a_tile, enlarged

pytestmark = pytest.mark.usefixtures("decoded_here")

CENT_A_SECOND = Price(own=0.01)


def _open(
    replicate: FakeReplicate,
    ledger: Ledger,
    options: ReplicateOptions | None = None,
    stop: threading.Event | None = None,
    tiles: int = 4,
) -> AbstractContextManager[ReplicateSession]:
    options = options or ReplicateOptions()
    backend = ReplicateBackend(TOKEN, VERSION, options, transport=replicate, clock=replicate.clock)
    return backend.open(a_context(tiles, ledger=ledger, stop=stop))


def _run_one(replicate: FakeReplicate, ledger: Ledger, tile: Tile, **options: Any) -> TileOutput:
    with _open(replicate, ledger, ReplicateOptions(**options)) as session:
        return session.run(tile).on_host()


def _until_done(session: Session, tile: Tile, attempts: int = 40) -> TileOutput:
    """As the scheduler does."""
    for _ in range(attempts):
        try:
            return session.run(tile).on_host()
        except TileError:  # noqa: PERF203
            continue
    raise AssertionError(f"tile {tile.index} was never done")


def _once(call: str, fault: str, number: int = 1) -> Callable[[str, int], str | None]:
    return lambda kind, count: fault if (kind, count) == (call, number) else None


@pytest.fixture
def replicate() -> FakeReplicate:
    return FakeReplicate()


@pytest.fixture
def ledger(replicate: FakeReplicate) -> MemoryLedger:
    return MemoryLedger(now=replicate.clock.now)


def test_a_tile_gets_there_and_back(replicate: FakeReplicate, ledger: MemoryLedger) -> None:
    tile = a_tile(1, tiles=4)
    result = _run_one(replicate, ledger, tile, price=CENT_A_SECOND)
    np.testing.assert_array_equal(result.rgb, enlarged(tile))
    assert result.seconds == 3.0
    assert result.dollars == pytest.approx(0.03)
    assert ledger.spent() == pytest.approx(0.03)
    assert not ledger.open
    assert replicate.bodies == [
        {
            "version": VERSION,
            "input": {
                "tile_input": f"{API}/v1/files/file0001",
                "global_reference": f"{API}/v1/files/file0000",
                "tile_box": "0.25,0.0,0.25,1.0",
                "output_format": "exr",
                "fractality": 1.0,
                "scale": 2.0,
                "model": "fast",
            },
        }
    ]


def test_the_reference_is_uploaded_once_a_day(replicate: FakeReplicate, ledger: MemoryLedger) -> None:
    tiles = [a_tile(index, tiles=4) for index in range(4)]
    with _open(replicate, ledger) as session:
        session.run(tiles[0])
        session.run(tiles[1])
        assert replicate.calls["upload"] == 3
    with _open(replicate, ledger) as session:
        session.run(tiles[2])
        assert replicate.calls["upload"] == 4
        replicate.clock.sleep(23 * 3600.0)
        session.run(tiles[3])
        assert replicate.calls["upload"] == 6


@pytest.mark.slow
def test_creates_per_minute_are_kept_to_by_all_threads(
    replicate: FakeReplicate, ledger: MemoryLedger
) -> None:
    assert ApiOptions().creates_per_minute == 600
    replicate.seconds = 0.0
    replicate.creates_per_minute = 45  # a thread may come to its turn late, and then send beside the next
    options = ReplicateOptions(api=ApiOptions(creates_per_minute=30))
    tiles = [a_tile(index, side=2, tiles=120) for index in range(120)]
    with _open(replicate, ledger, options, tiles=120) as session, ThreadPoolExecutor(8) as pool:
        list(pool.map(session.run, tiles))
    assert replicate.refused == 0
    assert len(replicate.made) == 120


@pytest.mark.slow
def test_a_limit_that_the_server_states_is_kept(replicate: FakeReplicate, ledger: MemoryLedger) -> None:
    replicate.creates_per_minute = 6  # as for accounts on granted credit
    tiles = [a_tile(index, side=2, tiles=10) for index in range(10)]
    with _open(replicate, ledger, tiles=10) as session, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda tile: _until_done(session, tile), tiles))
    assert len(replicate.made) == 10
    assert replicate.refused < 30


# Nothing is paid twice


@pytest.mark.sample(4)
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("pause", [0.0, 2000.0])
def test_a_crash_at_any_step_is_not_paid_for(
    replicate: FakeReplicate, ledger: MemoryLedger, step: str, moment: str, pause: float
) -> None:
    tile = a_tile(1, tiles=4)
    with _open(replicate, ledger) as session:
        ledger.crash_at = f"{moment} {step}"
        with pytest.raises(Crash):
            session.run(tile).on_host()
    replicate.clock.sleep(pause)
    result = _run_one(replicate, ledger, tile)
    np.testing.assert_array_equal(result.rgb, enlarged(tile))
    assert len(replicate.made) == 1
    assert not ledger.open
    assert ledger.ended("succeeded") == 1


@pytest.mark.sample(2)
@pytest.mark.parametrize("call", ["upload", "create", "get", "output"])
@pytest.mark.parametrize("fault", ["crash before", "crash after"])
def test_a_crash_in_any_call_is_not_paid_for(
    replicate: FakeReplicate, ledger: MemoryLedger, call: str, fault: str
) -> None:
    tile = a_tile(1, tiles=4)
    with _open(replicate, ledger) as session:
        carry_out = replicate.handle_request

        def crash(request: Any) -> Any:
            here = (call == "upload") == request.url.path.endswith("files") and call in _names(request)
            if here and fault == "crash before":
                raise Crash
            answer = carry_out(request)
            if here:
                raise Crash
            return answer

        replicate.handle_request = crash  # type: ignore[method-assign]
        with pytest.raises(Crash):
            session.run(tile).on_host()
        replicate.handle_request = carry_out  # type: ignore[method-assign]
    result = _run_one(replicate, ledger, tile)
    np.testing.assert_array_equal(result.rgb, enlarged(tile))
    assert len(replicate.made) == 1
    assert not ledger.open


def _names(request: Any) -> str:
    from tests.support.fake_replicate import _kind

    return _kind(request)


@pytest.mark.parametrize("listed_after", [0.0, 8.0])
@pytest.mark.parametrize("fault", ["late 500", "late reset", "late timeout", "html"])
def test_a_create_whose_answer_is_lost_is_found(
    replicate: FakeReplicate, ledger: MemoryLedger, fault: str, listed_after: float
) -> None:
    replicate.fault, replicate.listed_after = _once("create", fault), listed_after
    tile = a_tile(1, tiles=4)
    result = _run_one(replicate, ledger, tile)
    np.testing.assert_array_equal(result.rgb, enlarged(tile))
    assert replicate.calls["create"] == len(replicate.made) == 1


@pytest.mark.parametrize("fault", ["500", "reset"])
def test_a_create_that_did_not_happen_is_made_anew(
    replicate: FakeReplicate, ledger: MemoryLedger, fault: str
) -> None:
    replicate.fault = _once("create", fault)
    with _open(replicate, ledger) as session:
        with pytest.raises(TileError, match="did not take the tile"):
            session.run(a_tile(1, tiles=4))
        session.run(a_tile(1, tiles=4))
    assert (replicate.calls["create"], len(replicate.made)) == (2, 1)
    assert ledger.ended("not created") == 1


@pytest.mark.parametrize("fault", ["429", "refuse"])
def test_a_create_that_was_refused_is_made_anew_at_no_cost(
    replicate: FakeReplicate, ledger: MemoryLedger, fault: str
) -> None:
    replicate.fault = _once("create", fault)
    _run_one(replicate, ledger, a_tile(1, tiles=4))
    assert len(replicate.made) == 1
    assert replicate.calls["list"] == 0


@pytest.mark.slow
def test_the_lost_one_is_found_behind_pages_of_others(replicate: FakeReplicate, ledger: MemoryLedger) -> None:
    tiles = [a_tile(index, side=2, tiles=12) for index in range(12)]
    with _open(replicate, ledger, tiles=12) as session:
        ledger.crash_at = "before created"
        with pytest.raises(Crash):
            session.run(tiles[0])
        for tile in tiles[1:]:
            session.run(tile).on_host()
        result = session.run(tiles[0])
    np.testing.assert_array_equal(result.rgb, enlarged(tiles[0]))
    assert len(replicate.made) == 12


@pytest.mark.parametrize("step", ["before created", "after created", "after settle"])
def test_what_expired_is_paid_again_only_with_consent(
    replicate: FakeReplicate, ledger: MemoryLedger, step: str
) -> None:
    tile = a_tile(1, tiles=4)
    with _open(replicate, ledger) as session:
        session.run(a_tile(0, tiles=4))
        ledger.crash_at = step
        with pytest.raises(Crash):
            session.run(tile).on_host()
    replicate.clock.sleep(2 * 3600.0)
    for _ in range(2):
        with pytest.raises(BackendError, match=r"tile 1 .*paid for.*removed.*--pay-again"):
            _run_one(replicate, ledger, tile)
    assert len(replicate.made) == 2
    with _open(replicate, ledger, ReplicateOptions(pay_again=True)) as session:
        result = _until_done(session, tile)
    np.testing.assert_array_equal(result.rgb, enlarged(tile))
    assert len(replicate.made) == 3
    assert not ledger.open
    assert ledger.spent() > 0


def test_an_expired_prediction_of_another_tile_raises_no_doubt(
    replicate: FakeReplicate, ledger: MemoryLedger
) -> None:
    """A crash before the POST: the predictions around it are known to be others'."""
    with _open(replicate, ledger) as session:
        session.run(a_tile(0, tiles=4))
        ledger.crash_at = "after announce"
        with pytest.raises(Crash):
            session.run(a_tile(1, tiles=4))
        session.run(a_tile(2, tiles=4))
    replicate.clock.sleep(2 * 3600.0)
    _run_one(replicate, ledger, a_tile(1, tiles=4))
    assert len(replicate.made) == 3


def test_an_output_that_the_caller_refused_is_made_anew(
    replicate: FakeReplicate, ledger: MemoryLedger
) -> None:
    with _open(replicate, ledger) as session:
        session.run(a_tile(1, tiles=4))
        session.run(a_tile(1, 2, tiles=4))
    assert len(replicate.made) == 2


# Results


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    "fault",
    [
        *("truncate", "slow", "garbage", "other", "429"),
        *(pytest.param(fault, marks=pytest.mark.slow) for fault in ("short", "500", "reset")),
    ],
)
def test_a_broken_download_is_fetched_again_and_not_paid_again(
    replicate: FakeReplicate, ledger: MemoryLedger, fault: str
) -> None:
    with _open(replicate, ledger) as session:
        session.run(a_tile(0, tiles=4))
        session.run(a_tile(2, tiles=4))
        replicate.fault = lambda call, number: fault if (call, number) == ("output", 3) else None
        tile = a_tile(1, tiles=4)
        np.testing.assert_array_equal(session.run(tile).on_host().rgb, enlarged(tile))
    assert len(replicate.made) == 3


def test_a_redirect_is_followed_without_the_token(replicate: FakeReplicate, ledger: MemoryLedger) -> None:
    replicate.fault = _once("output", "redirect")
    _run_one(replicate, ledger, a_tile(1, tiles=4))
    assert replicate.calls["output"] == 2


def test_a_result_that_is_wrong_each_time_is_a_failed_attempt(
    replicate: FakeReplicate, ledger: MemoryLedger
) -> None:
    replicate.fault = _once("create", "garbage")
    with _open(replicate, ledger) as session:
        with pytest.raises(TileError, match="no usable picture") as caught:
            session.run(a_tile(1, tiles=4))
        assert caught.value.counts
        session.run(a_tile(1, 2, tiles=4))
    assert len(replicate.made) == 2
    assert ledger.ended("unusable") == 1


def test_a_download_that_never_works_leaves_the_paid_result_where_it_is(
    replicate: FakeReplicate, ledger: MemoryLedger
) -> None:
    replicate.fault = lambda call, _: "truncate" if call == "output" else None
    tile = a_tile(1, tiles=4)
    with pytest.raises(TileError, match="download of the result broke"):
        _run_one(replicate, ledger, tile)
    replicate.fault = lambda _call, _number: None
    np.testing.assert_array_equal(_run_one(replicate, ledger, tile).rgb, enlarged(tile))
    assert len(replicate.made) == 1


@pytest.mark.parametrize(
    ("fault", "words"), [("model fails", "E1001: the model ran out"), ("no output", "no picture")]
)
def test_a_model_that_fails_costs_an_attempt(
    replicate: FakeReplicate, ledger: MemoryLedger, fault: str, words: str
) -> None:
    replicate.fault = _once("create", fault)
    with _open(replicate, ledger) as session:
        with pytest.raises(TileError, match=words) as caught:
            session.run(a_tile(1, tiles=4))
        assert caught.value.counts
        session.run(a_tile(1, 2, tiles=4))
    assert len(replicate.made) == 2


def test_one_that_does_not_end_is_canceled(replicate: FakeReplicate, ledger: MemoryLedger) -> None:
    replicate.fault, replicate.seconds = _once("create", "stuck"), 1e9
    with pytest.raises(TileError, match="was canceled; it may take 300 s"):
        _run_one(replicate, ledger, a_tile(1, tiles=4))
    assert replicate.calls["cancel"] == 1
    assert ledger.ended("canceled") == 1


# Refusals


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("401", "the token is refused"),
        ("402", "no credit"),
        ("403", "the token does not allow it"),
        ("404", "is the version right"),
        ("422", "the input is refused"),
    ],
)
@pytest.mark.parametrize("call", ["upload", "create"])
def test_refusals_end_the_work_with_one_line(
    replicate: FakeReplicate, ledger: MemoryLedger, call: str, code: str, words: str
) -> None:
    replicate.fault = lambda kind, number: code if (kind, number >= 2) == (call, call == "upload") else None
    with pytest.raises(BackendError, match=words) as caught:
        _run_one(replicate, ledger, a_tile(1, tiles=4))
    assert "\n" not in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert not replicate.made
    assert not ledger.open


def test_a_server_that_is_not_there_is_one_line(replicate: FakeReplicate, ledger: MemoryLedger) -> None:
    replicate.fault = lambda _call, _number: "refuse"
    with pytest.raises(BackendError, match="cannot be reached: no answer for 300 s"):
        _run_one(replicate, ledger, a_tile())


def test_a_file_that_replicate_would_not_take_is_refused_before_anything_is_paid(
    replicate: FakeReplicate, ledger: MemoryLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "MAX_FILE", 10_000)
    with pytest.raises(BackendError, match="smaller tiles"):
        _run_one(replicate, ledger, a_tile(1, side=64, tiles=4))
    assert not replicate.made


@pytest.mark.parametrize("token", ["", "  ", "a b", "r8_ä", "r8\n_"])
def test_tokens_are_checked_and_not_shown(token: str) -> None:
    with pytest.raises(InputError, match="token") as caught:
        ReplicateBackend(token, VERSION)
    assert not token.strip() or token not in str(caught.value)


@pytest.mark.parametrize("prefix", ["", "josfer/luxscaler-v32:", "r8.im/josfer/luxscaler-v32:"])
def test_versions_are_taken_in_all_their_forms(prefix: str) -> None:
    assert ReplicateBackend(TOKEN, prefix + VERSION).version == VERSION


@pytest.mark.parametrize("name", ["josfer/luxscaler-v32", "r8.im/josfer/luxscaler-v32"])
def test_a_model_without_a_version_means_its_newest_one(
    name: str, replicate: FakeReplicate, ledger: MemoryLedger
) -> None:
    backend = ReplicateBackend(TOKEN, name, transport=replicate, clock=replicate.clock)
    for index in range(2):  # a run and one that goes on
        with backend.open(a_context(4, ledger=ledger)) as session:
            session.run(a_tile(index, tiles=4))
    assert [body["version"] for body in replicate.bodies] == [VERSION, VERSION]
    assert replicate.calls["model"] == 1


def test_a_model_that_has_no_version_is_said(replicate: FakeReplicate, ledger: MemoryLedger) -> None:
    replicate.has_version = False
    backend = ReplicateBackend(TOKEN, "josfer/new", transport=replicate, clock=replicate.clock)
    with (
        pytest.raises(BackendError, match="josfer/new has no version yet"),
        backend.open(a_context(4, ledger=ledger)),
    ):
        pass


@pytest.mark.parametrize("version", ["", "latest", "a/b/c", VERSION[:-1], "a:" + VERSION])
def test_other_versions_are_refused(version: str) -> None:
    with pytest.raises(InputError, match="64 hexadecimal digits"):
        ReplicateBackend(TOKEN, version)


@pytest.mark.parametrize(
    "base", ["http://api.replicate.com", "ftp://a", "", "https://", "https://user:pw@api.replicate.com"]
)
def test_the_token_goes_to_no_address_that_is_not_safe(base: str) -> None:
    with pytest.raises(InputError, match="base URL"):
        ReplicateBackend(TOKEN, VERSION, base_url=base)


@pytest.mark.parametrize("base", [API, API + "/", API + "/v1", API + "/v1/", "http://127.0.0.1:5100/v1"])
def test_base_urls_are_taken_with_and_without_v1(base: str) -> None:
    assert ReplicateBackend(TOKEN, VERSION, base_url=base).base_url in (API, "http://127.0.0.1:5100")


@pytest.mark.parametrize(
    "options",
    [{"max_cost": -1.0}, {"max_cost": float("nan")}, {"cancel_after": 4}, {"workers": 0}],
)
def test_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        ReplicateOptions(**options)


# Money


def test_the_limit_is_not_overrun_by_tiles_under_way(replicate: FakeReplicate, ledger: MemoryLedger) -> None:
    """Each tile costs 3 cents and may cost 10; the eighth would begin with 21 spent."""
    options = ReplicateOptions(price=CENT_A_SECOND, cancel_after=10, max_cost=0.305)
    tiles = [a_tile(index, tiles=20) for index in range(20)]
    with _open(replicate, ledger, options, tiles=20) as session, ThreadPoolExecutor(8) as pool:
        results = [pool.submit(session.run, tile) for tile in tiles]
        errors = [result.exception() for result in results]
    refused = [error for error in errors if isinstance(error, CostError)]
    assert len(refused) == 13
    assert [error for error in errors if error and error not in refused] == []
    assert "the limit is $0.3050" in str(refused[0])
    assert len(replicate.made) == 7
    assert ledger.spent() == pytest.approx(0.21)


def test_what_an_earlier_run_left_open_counts(replicate: FakeReplicate, ledger: MemoryLedger) -> None:
    options = ReplicateOptions(price=CENT_A_SECOND, cancel_after=10, max_cost=0.15)
    with _open(replicate, ledger, options) as session:
        ledger.crash_at = "after created"
        with pytest.raises(Crash):
            session.run(a_tile(1, tiles=4))
    with _open(replicate, ledger, options) as session:
        with pytest.raises(CostError, match=r"\$0\.1000 reserved"):
            session.run(a_tile(2, tiles=4))
        session.run(a_tile(1, tiles=4))
        session.run(a_tile(2, tiles=4))
    assert ledger.spent() == pytest.approx(0.06)


def test_a_limit_below_one_tile_is_refused_at_the_start(
    replicate: FakeReplicate, ledger: MemoryLedger
) -> None:
    with pytest.raises(CostError, match=r"one tile can cost \$3\.0000"):
        _run_one(replicate, ledger, a_tile(), price=CENT_A_SECOND, max_cost=2.0)
    assert not replicate.calls


def test_stop_cancels_what_is_under_way(replicate: FakeReplicate, ledger: MemoryLedger) -> None:
    stop = threading.Event()
    replicate.seconds = 100.0

    def stopping(call: str, number: int) -> None:
        if call == "get" and number == 6:
            stop.set()

    replicate.fault = stopping
    with (
        _open(replicate, ledger, stop=stop) as session,
        ThreadPoolExecutor(3) as pool,
    ):
        results = [pool.submit(session.run, a_tile(index, tiles=4)) for index in range(3)]
        assert {type(result.exception()) for result in results} == {StoppedError}
    assert all(made.canceled_at is not None for made in replicate.made)
    assert not ledger.open
    assert ledger.ended("canceled") == len(replicate.made)
    assert 0 < ledger.spent() < 1
    replicate.seconds = 3.0
    _run_one(replicate, ledger, a_tile(1, tiles=4))


# Everything at once

FAULTS = {
    "upload": ("429", "500", "refuse", "reset", "late 500", "late reset", "html"),
    "create": ("429", "500", "refuse", "reset", "late 500", "late reset", "late timeout", "html"),
    "get": ("429", "500", "refuse", "reset", "late 500", "html"),
    "list": ("429", "500", "reset", "html"),
    "output": ("429", "500", "reset", "truncate", "short", "slow", "garbage", "other", "redirect"),
}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_a_hundred_tiles_through_storms_are_right_and_paid_for_once(
    replicate: FakeReplicate, ledger: MemoryLedger, seed: int
) -> None:
    random = Random(seed)
    replicate.listed_after = 4.0

    def storm(call: str, _number: int) -> str | None:
        return random.choice(FAULTS[call]) if call in FAULTS and random.random() < 0.3 else None

    replicate.fault = storm
    tiles = [a_tile(index, side=2, tiles=100) for index in range(100)]
    with _open(replicate, ledger, tiles=100) as session, ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda tile: _until_done(session, tile), tiles))
    for tile, result in zip(tiles, results, strict=True):
        np.testing.assert_array_equal(result.rgb, enlarged(tile))
    assert not ledger.open
    assert len(replicate.made) == 100 + ledger.ended("unusable")
    assert ledger.ended("succeeded") == 100


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_crashes_at_random_steps_are_not_paid_for(
    replicate: FakeReplicate, ledger: MemoryLedger, seed: int
) -> None:
    """Up to 30 crashes over 10 tiles, each run begun anew on the same ledger."""
    random = Random(seed)
    tiles = [a_tile(index, side=2, tiles=10) for index in range(10)]
    results: dict[int, TileOutput] = {}
    crashes = 0
    while len(results) < len(tiles):
        with _open(replicate, ledger, tiles=10) as session:
            if crashes < 30:
                ledger.crash_at = f"{random.choice(('before', 'after'))} {random.choice(STEPS)}"
            try:
                for tile in tiles:
                    if tile.index not in results:
                        results[tile.index] = session.run(tile).on_host()
            except Crash:
                crashes += 1
    assert crashes >= 10
    for tile in tiles:
        np.testing.assert_array_equal(results[tile.index].rgb, enlarged(tile))
    assert len(replicate.made) == 10


@pytest.mark.slow
def test_the_token_is_nowhere(
    replicate: FakeReplicate, ledger: MemoryLedger, caplog: pytest.LogCaptureFixture
) -> None:
    """The fake server repeats it in its refusals, as a careless proxy may."""
    caplog.set_level(logging.DEBUG)
    written: list[str] = []
    for call in ("upload", "create", "get", "output", "list"):
        for code in ("401", "422", "500", "late 500"):
            replicate.fault = lambda kind, _, call=call, code=code: code if kind == call else None  # type: ignore[misc]
            try:
                backend = ReplicateBackend(TOKEN, VERSION, transport=replicate, clock=replicate.clock)
                written += [repr(backend), str(vars(backend))]
                with backend.open(a_context(4, ledger=ledger)) as session:
                    written += [repr(session), str(vars(session)), repr(vars(session._api))]
                    session.run(a_tile(2, tiles=4))
            except LuxScalerError as error:
                link: BaseException | None = error
                while link is not None:
                    written += [str(link), repr(link)]
                    link = link.__cause__ or link.__context__
    written += [caplog.text, ledger.everything(), str(replicate.bodies)]
    assert TOKEN not in "\n".join(written)
