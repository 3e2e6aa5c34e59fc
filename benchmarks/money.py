"""What measured seconds cost on Replicate's hardware, by the price list of luxscaler/replicate/prices.py."""

import torch

from luxscaler.replicate.prices import DOLLARS_PER_SECOND

_NAMES = {"gpu-t4": "T4", "gpu-a40-small": "A40", "gpu-a40-large": "A40", "gpu-l40s": "L40S"}
_NAMES |= {"gpu-a100-large": "A100", "gpu-h100": "H100"}


def hardware_of(device: str) -> list[str]:
    """The price list's names of what this machine has; none where the list does not have it."""
    if device == "cpu":
        return ["cpu"]
    card = torch.cuda.get_device_name()
    return [sku for sku, name in _NAMES.items() if name in card]


def print_dollars(what: str, seconds: dict[str, float], device: str) -> None:
    """A line for each row: dollars of `what` on this machine's hardware. Other cards have other seconds."""
    known = hardware_of(device)
    if not known:
        print(f"\nDollars per {what}: the price list does not have this card.")
        return
    print(f"\nDollars per {what}, by the seconds above ({', '.join(known)}; idling and start not counted):\n")
    for row, value in seconds.items():
        costs = ", ".join(f"{sku} ${value * DOLLARS_PER_SECOND[sku]:.6f}" for sku in known)
        print(f"- {row}: {costs}")
