"""The order of layers over bands: nothing is used before it is there, or after it was replaced."""

import pytest

from luxscaler.inference.cpu.wavefront import LEVELS, LIVE_BANDS, Bands, run_wavefront


@pytest.mark.parametrize("count", [1, 2, 3, 6, 7, 8, 20])
def test_everything_is_there_when_it_is_needed_and_happens_once(count: int) -> None:
    made: list[tuple[int, int]] = []
    spreads: list[tuple[int, int]] = []
    slots = min(count, LIVE_BANDS)
    holder: dict[int, int] = {}

    def held(band: int) -> bool:
        return holder[band % slots] == band

    def make(level: int, band: int) -> None:
        if level == 0:
            holder[band % slots] = band
        else:
            assert (level - 1, band) in spreads
        assert held(band)
        made.append((level, band))

    def spread(level: int, band: int) -> None:
        for near in {max(band - 1, 0), band, min(band + 1, count - 1)}:
            assert (level, near) in made
            assert held(near)
        # Level 0 is read from the picture, which the last level replaces.
        assert level > 0 or (LEVELS, band) not in made
        spreads.append((level, band))

    run_wavefront(count, make, spread)
    assert sorted(made) == [(level, band) for level in range(LEVELS + 1) for band in range(count)]
    assert sorted(spreads) == [(level, band) for level in range(LEVELS) for band in range(count)]


@pytest.mark.parametrize(("rows", "target"), [(1, 1), (5, 0), (17, 8), (32, 8), (33, 8), (7, 100), (100, 7)])
def test_bands_cover_the_rows_evenly(rows: int, target: int) -> None:
    bands = Bands.cut(rows, target)
    assert bands.height <= max(target, 1)
    assert (bands.count - 1) * bands.height < rows <= bands.count * bands.height
    assert bands.count == -(-rows // max(target, 1))
    assert bands.slots == min(bands.count, LIVE_BANDS)
