"""A part of the fuzz run (./scripts/fuzz) with a fixed seed; and every seed of it is read."""

import random

import pytest

from luxscaler.isolation.pool import IS_AVAILABLE, read_picture_isolated
from tests.support.fuzz_seeds import seed_files
from tests.support.fuzzing import MUTATIONS, run

pytestmark = pytest.mark.skipif(not IS_AVAILABLE, reason="isolation needs Linux")


@pytest.mark.slow
@pytest.mark.parametrize("count", [20, pytest.param(60, marks=pytest.mark.slow)])
def test_damaged_files_meet_no_fault(count: int) -> None:
    outcomes, faults = run(count, seed=20261127, seconds=120)
    assert faults == []
    assert outcomes["read"] > 0
    assert len(outcomes) > 3


@pytest.mark.slow
@pytest.mark.long
def test_more_damaged_files_meet_no_fault() -> None:
    _, faults = run(1500, seed=5, seconds=280)
    assert faults == []


@pytest.mark.sample(11)
@pytest.mark.parametrize("name", seed_files())
def test_every_seed_is_read(name: str) -> None:
    assert read_picture_isolated(seed_files()[name]).rgb.size > 0


def test_mutations_change_files_alike_for_a_seed() -> None:
    data = seed_files()["png"]
    for mutation in MUTATIONS:
        made = {mutation(data, random.Random(seed)) for seed in range(30)}
        assert len(made) > 1
        assert mutation(data, random.Random(1)) == mutation(data, random.Random(1))
