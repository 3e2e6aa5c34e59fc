"""The convolution of the networks that are written here."""

from torch import nn


class Convolution(nn.Conv2d):
    """PyTorch's, which draws its initial values only where there is memory for them.

    A checkpoint's network is built on the meta device, without values, and is given the checkpoint's. PyTorch
    draws even there, for more time than all the rest of building takes (51 ms instead of 18).
    """

    def reset_parameters(self) -> None:
        """Draw initial values, unless there are none."""
        if not self.weight.is_meta:
            super().reset_parameters()
