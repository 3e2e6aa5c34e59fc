"""How many results may stay on a card beside the network that makes them."""

import torch

SHARE = 4
"""Results may take a quarter of a card's memory; the rest is the network's, which needs several GB."""


def has_room(device: torch.device, held: int, more: int) -> bool:
    """Whether `more` bytes of results may stay on the device besides the `held` bytes that do.

    `more` is allocated already. There must be room for as many bytes again, for the next result. Elsewhere
    than on CUDA always true.
    """
    if device.type != "cuda":
        return True
    free, total = torch.cuda.mem_get_info(device)
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return held + more <= total // SHARE and free + unused >= more
