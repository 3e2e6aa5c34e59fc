"""How many results may stay on a card beside the network that makes them."""

import torch

SHARE = 4
"""Results may take a quarter of a card's memory; the rest is the network's, which needs several GB."""


def has_room(device: torch.device, held: int, more: int) -> bool:
    """Whether `more` bytes may stay there besides `held` ones, with room left for a result of the same size.

    The bytes are there already: the question is whether they may stay.
    """
    if device.type != "cuda":
        return True
    free, total = torch.cuda.mem_get_info(device)
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return held + more <= total // SHARE and free + unused >= more
