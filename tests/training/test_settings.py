"""Settings check themselves, and choose what is left to them by network and device."""

import pytest

from luxscaler.errors import InputError
from luxscaler.networks.rrdb import RRDBNetConfig
from luxscaler.networks.srvgg import SRVGGConfig
from luxscaler.training.settings import TrainingSettings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("method", "dreambooth"),
        ("precision", "fp64"),
        ("checkpointing", "maybe"),
        ("device", "tpu"),
        ("rank", 0),
        ("steps", 0),
        ("batch", 0),
        ("crop", 8),
        ("every", 0),
        ("patience", -1),
        ("seed", -1),
        ("validate", 0.9),
        ("lr", float("nan")),
        ("lr", 1.0),
        ("max_minutes", 0.0),
    ],
)
def test_a_value_out_of_range_is_named(name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"^{name} is {value!r}; it must be"):
        TrainingSettings(**{name: value})  # type: ignore[arg-type]


def test_auto_depends_on_method_network_and_device() -> None:
    rates = {
        TrainingSettings(method=method).learning_rate(config)
        for method in ("lora", "full")
        for config in (RRDBNetConfig(), SRVGGConfig())
    }
    assert len(rates) == 4
    assert TrainingSettings(lr=1e-4).learning_rate(RRDBNetConfig()) == 1e-4
    assert TrainingSettings().batch_size("cuda") > TrainingSettings().batch_size("cpu")
    assert TrainingSettings(batch=3).batch_size("cuda") == 3
