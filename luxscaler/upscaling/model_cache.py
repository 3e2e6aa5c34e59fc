"""Networks on the device, loaded on first use and kept."""

import threading
from pathlib import Path

from luxscaler.errors import InputError
from luxscaler.networks.build import AnyNetwork
from luxscaler.options import UpscalerOptions
from luxscaler.upscaling.upscaler import Upscaler
from luxscaler.weights.bundle import load_bundle
from luxscaler.weights.catalogue import known_names
from luxscaler.weights.installed import weights_folder
from luxscaler.weights.store import load_network

TRAINED = "trained"
"""Name of the network that a container was built with after a training."""


class Models:
    """A function from a model's name to its upscaler.

    folder: of the weights; None: the usual one. own_checkpoints: whether the path of a checkpoint file is a
    name too (never on a server, where a request could then have any file opened). trained: path or URL of the
    weights that TRAINED stands for. Several threads may call it.
    """

    def __init__(
        self,
        options: UpscalerOptions = UpscalerOptions(),
        folder: Path | None = None,
        *,
        own_checkpoints: bool = False,
        trained: str | None = None,
    ) -> None:
        self.options = options
        self._folder = folder or weights_folder()
        self._own_checkpoints = own_checkpoints
        self._trained = trained
        self._loaded: dict[str, Upscaler] = {}
        self._lock = threading.Lock()

    def __call__(self, name: str) -> Upscaler:
        """The upscaler of that model. Raises InputError for an unknown name, WeightsError for bad weights."""
        if name == TRAINED and self._trained is None and not self._own_checkpoints:
            raise InputError(f"model is {name!r}, and this version was not made by a training: take another")
        known = known_names() if self._trained is None else (*known_names(), TRAINED)
        if name not in known and not self._own_checkpoints:
            raise InputError(f"model is {name!r}; it must be one of {', '.join(known)}")
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = Upscaler(self._network(name), self.options)
            return self._loaded[name]

    def _network(self, name: str) -> AnyNetwork:
        if name == TRAINED and self._trained is not None:
            return load_bundle(self._trained).module
        return load_network(name, self._folder).module
