"""The hardware that Replicate offers: memory, price, what it is good for.

Prices are those of luxscaler/replicate/prices.py unless the provider's settings say otherwise. What a run
uses is chosen by its model on Replicate, not by the call, so the choice here says what a second costs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from luxscaler.replicate.prices import DOLLARS_PER_SECOND

DEFAULT_HARDWARE = "gpu-l40s"


@dataclass(frozen=True)
class Hardware:
    """One kind of hardware."""

    sku: str
    """Replicate's name."""
    name: str
    vram_gb: int
    """0: no graphics card."""
    good_for: str


TABLE = (
    Hardware("gpu-l40s", "NVIDIA L40S", 48, "the default: masters, and fine-tuning with small batches"),
    Hardware("gpu-a100-large", "NVIDIA A100", 80, "training with large batches or crops"),
    Hardware("gpu-h100", "NVIDIA H100", 80, "the fastest single card"),
    Hardware("gpu-l40s-2x", "2 × NVIDIA L40S", 96, "models that use two cards; ours uses one"),
    Hardware("gpu-t4", "NVIDIA T4", 16, "small pictures at the lowest price of a card"),
    Hardware("cpu", "CPU", 0, "trying a model out; minutes for a megapixel"),
)


def prices(overrides: Mapping[str, float]) -> dict[str, float]:
    """Dollars a second by sku."""
    return {**DOLLARS_PER_SECOND, **overrides}


def options(overrides: Mapping[str, float]) -> list[dict[str, object]]:
    """The table as JSON, with the prices in force."""
    per_second = prices(overrides)
    return [
        {
            "sku": each.sku,
            "name": each.name,
            "vram_gb": each.vram_gb,
            "good_for": each.good_for,
            "cost_per_second": per_second[each.sku],
            "cost_per_hour": round(3600 * per_second[each.sku], 6),
            "is_default": each.sku == DEFAULT_HARDWARE,
            "is_overridden": each.sku in overrides,
        }
        for each in TABLE
    ]
