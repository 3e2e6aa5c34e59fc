"""The pace of calls: even, slower where the server says so, and no slower when the clock is set back."""

import httpx
import pytest

from luxscaler.replicate.pace import LONGEST_HOLD, Limiter, Pace
from luxscaler.replicate.responses import BusyError, parse_answer
from tests.support.fake_clock import JumpingClock


def test_a_clock_that_is_set_back_makes_nobody_wait_for_it() -> None:
    clock = JumpingClock(10_000.0)
    pace, limiter = Pace(clock=clock), Limiter(60.0, clock)
    limiter.wait(pace)
    clock.time = 6_400.0
    limiter.wait(pace)
    limiter.wait(pace)
    assert clock.time == pytest.approx(6_402.0)


def test_a_hold_lasts_as_long_when_the_clock_is_set_back() -> None:
    clock = JumpingClock(10_000.0)
    pace, limiter = Pace(clock=clock), Limiter(60.0, clock)
    limiter.hold(30.0)
    clock.time = 6_400.0
    limiter.wait(pace)
    assert clock.time == pytest.approx(6_430.0)


@pytest.mark.parametrize("named", ["86400", "1e300"])
def test_a_server_that_names_a_day_is_asked_again_sooner(named: str) -> None:
    answer = httpx.Response(429, headers={"retry-after": named}, json={"detail": "later"})
    with pytest.raises(BusyError) as caught:
        parse_answer(answer, "https://api.example", str)
    assert caught.value.delay == LONGEST_HOLD
