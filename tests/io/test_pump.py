"""The thread between a caller who hands over bands and an encoder that asks for them."""

import threading
from collections.abc import Iterator

import pytest

from luxscaler.io.pump import Pump


def put_all(pump: Pump[int], bands: int) -> None:
    for band in range(bands):
        pump.put(band)


@pytest.mark.parametrize("after", [0, 3])
def test_an_encoder_that_fails_reaches_the_caller_who_hands_over_bands(after: int) -> None:
    def encode(bands: Iterator[int]) -> None:
        for _, _ in zip(range(after), bands, strict=False):
            pass
        raise OSError("disk on fire")

    pump = Pump(encode)
    with pytest.raises(OSError, match="disk on fire"):
        put_all(pump, 100)
    with pytest.raises(OSError, match="disk on fire"):
        pump.finish()
    pump.abort()


def test_an_encoder_gets_every_band_in_order_and_only_a_few_early() -> None:
    seen: list[int] = []
    gate = threading.Event()

    def encode(bands: Iterator[int]) -> None:
        for band in bands:
            gate.wait(10)
            seen.append(band)

    pump = Pump(encode)
    pump.put(0)
    pump.put(1)
    third = threading.Thread(target=pump.put, args=(2,))
    third.start()
    third.join(0.2)
    assert third.is_alive()
    gate.set()
    third.join(10)
    pump.finish()
    assert seen == [0, 1, 2]


def test_an_encoder_that_ends_early_is_an_error_not_a_silence() -> None:
    pump = Pump[int](lambda bands: None)
    with pytest.raises(RuntimeError, match="ended before"):
        put_all(pump, 3)
    pump.abort()
