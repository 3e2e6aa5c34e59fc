"""Money: what counts, when a job fits under the limit, and what an estimate says."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from luxscaler.clock import Clock
from luxscaler.console.database import Database
from luxscaler.console.provider_settings import ProviderSettings
from luxscaler.console.spending import Spending, period_start
from tests.support.console_server import ConsoleServer
from tests.support.replicate_account import Account

LIMIT = "/api/cloud/cost-limit"


def _limit(console: ConsoleServer, amount: float, action: str = "block") -> None:
    console.set(
        cost_limit_enabled=True,
        cost_limit_amount=amount,
        cost_limit_action=action,
        cost_limit_period="daily",
        hardware_prices={"gpu-l40s": 0.001},
        max_minutes=10,
    )


@pytest.mark.slow
def test_a_hundred_at_once_against_room_for_seven_are_seven(console: ConsoleServer, picture: Path) -> None:
    _limit(console, 7 * 0.6 + 0.3)

    def submit(number: int) -> int:
        body = {"kind": "master", "source": str(picture), "idempotency_key": f"key {number}"}
        return console.post("/api/cloud/jobs/submit", json=body).status_code

    with ThreadPoolExecutor(20) as pool:
        codes = list(pool.map(submit, range(100)))
    assert sorted(set(codes)) == [202, 402]
    assert codes.count(202) == 7
    status = console.get(LIMIT).json()
    assert status["current_spend"] == pytest.approx(7 * 0.6)
    assert (status["is_exceeded"], status["is_warning"]) == (False, True)


@pytest.mark.slow
def test_a_job_that_has_ended_counts_with_what_it_cost(
    account: Account, console: ConsoleServer, picture: Path
) -> None:
    _limit(console, 1.0)
    job = console.submit(kind="master", source=str(picture))
    refused = console.post("/api/cloud/jobs/submit", json={"kind": "master", "source": str(picture)})
    assert refused.status_code == 402
    assert "$0.6000 reserved" in refused.json()["detail"]
    console.until(job, "queued")
    account.finish(account.runs[0], seconds=50.0)
    console.until(job, "completed")
    assert console.get(LIMIT).json()["current_spend"] == pytest.approx(0.05)
    assert console.get("/api/cloud/spending?days=7").json()["days"][-1]["cost"] == pytest.approx(0.05)
    console.submit(kind="master", source=str(picture))
    assert console.delete(f"/api/cloud/jobs/{job}").status_code == 204
    assert console.get(LIMIT).json()["finished_spend"] == pytest.approx(0.05)


def test_three_jobs_of_ten_cents_are_thirty(console: ConsoleServer, picture: Path) -> None:
    """In floating point 0.1 + 0.1 + 0.1 is more than 0.3."""
    console.set(
        cost_limit_enabled=True, cost_limit_amount=0.3, hardware_prices={"gpu-l40s": 0.1 / 60}, max_minutes=1
    )
    body = {"kind": "master", "source": str(picture)}
    codes = [console.post("/api/cloud/jobs/submit", json=body).status_code for _ in range(4)]
    assert codes == [202, 202, 202, 402]
    status = console.get(LIMIT).json()
    assert (status["current_spend"], status["percent_used"], status["is_exceeded"]) == (0.3, 100.0, False)


def test_many_small_costs_add_up_exactly(tmp_path: Path) -> None:
    database = Database(tmp_path / "console.sqlite3")
    spending = Spending(database, Clock())
    now = Clock().now()
    with database.transaction():
        database.run_many("INSERT INTO past_costs VALUES (?, ?)", [(now, 0.0001)] * 30_000)
    assert spending.spent(ProviderSettings()).finished_nanos == 3_000_000_000
    assert spending.by_day(ProviderSettings(), 2)[-1]["cost"] == 3.0
    database.close()


def test_warn_lets_it_through_and_says_so(console: ConsoleServer, picture: Path) -> None:
    _limit(console, 0.1, "warn")
    answer = console.post("/api/cloud/jobs/submit", json={"kind": "master", "source": str(picture)})
    assert answer.status_code == 202
    assert "limit is exceeded" in answer.json()["cost_limit_warning"]
    assert console.get(LIMIT).json()["is_exceeded"]


def test_a_limit_of_nothing_blocks_everything(console: ConsoleServer, picture: Path) -> None:
    _limit(console, 0)
    body = {"kind": "master", "source": str(picture)}
    assert console.post("/api/cloud/jobs/submit", json=body).status_code == 402


@pytest.mark.parametrize(
    ("period", "zone", "now", "start"),
    [
        ("daily", "UTC", "2026-11-26T23:59:59", "2026-11-26T00:00:00"),
        ("daily", "Europe/Madrid", "2026-11-26T23:30:00", "2026-11-26T23:00:00"),
        ("weekly", "UTC", "2026-11-26T12:00:00", "2026-11-23T00:00:00"),
        ("monthly", "UTC", "2026-11-26T12:00:00", "2026-11-01T00:00:00"),
        ("monthly", "America/New_York", "2026-11-01T03:00:00", "2026-10-01T04:00:00"),
    ],
)
def test_periods_begin_by_the_calendar_of_the_zone(period: str, zone: str, now: str, start: str) -> None:
    moments = [datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() for text in (now, start)]
    assert period_start(moments[0], period, zone) == moments[1]


@pytest.mark.slow
def test_an_estimate_of_a_master_before_and_after_one_has_run(
    account: Account, console: ConsoleServer, picture: Path
) -> None:
    body = {"kind": "master", "source": str(picture)}
    guess = console.post("/api/cloud/estimate", json=body).json()
    assert guess["basis"].startswith("a formula")
    assert guess["low_usd"] < guess["estimated_cost_usd"] < guess["high_usd"] < guess["at_most_usd"]
    assert guess["data_size_mb"] == pytest.approx(picture.stat().st_size / 1e6, abs=1e-3)
    job = console.submit(**body)
    console.until(job, "queued")
    account.finish(account.runs[0], seconds=33.0)
    console.until(job, "completed")
    learned = console.post("/api/cloud/estimate", json=body).json()
    assert learned["avg_duration_seconds"] == 33.0
    assert learned["basis"] == "1 job like it that ended before"


def test_an_estimate_of_a_training_is_honest_about_knowing_nothing(
    console: ConsoleServer, folder: Path
) -> None:
    body = {"kind": "training", "source": str(folder), "destination": "ada/mine", "inputs": {"steps": 100}}
    guess = console.post("/api/cloud/estimate", json=body).json()
    assert guess["estimated_cost_usd"] is None
    assert guess["at_most_usd"] > 0


def test_a_check_that_fails_blocks(console: ConsoleServer, picture: Path) -> None:
    _limit(console, 100.0)
    with sqlite3.connect(console.data / "console.sqlite3") as database:
        database.execute("DROP VIEW costs")
    body = {"kind": "master", "source": str(picture)}
    answer = console.post("/api/cloud/jobs/submit", json=body)
    assert answer.status_code == 507
    assert "no such table: costs" in answer.json()["detail"]
    assert console.get("/api/cloud/jobs").json()["total"] == 0


@pytest.mark.parametrize(
    ("zone", "noon", "begins"),
    [
        (
            "America/Santiago",
            "2026-09-06T15:00",
            "2026-09-06T04:00",
        ),  # no midnight: 23:59 is followed by 1:00
        ("America/Havana", "2026-11-01T17:00", "2026-11-01T04:00"),  # two midnights: the first one
        ("Asia/Kathmandu", "2026-06-10T06:15", "2026-06-09T18:15"),
        ("Pacific/Apia", "2011-12-31T00:00", "2011-12-30T10:00"),  # the day before was left out
    ],
)
def test_days_begin_where_clocks_are_changed(zone: str, noon: str, begins: str) -> None:
    now, start = (datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() for text in (noon, begins))
    assert period_start(now, "daily", zone) == start
