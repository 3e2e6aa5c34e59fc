"""Networks on the device, loaded on first use and kept."""

import threading
from pathlib import Path

from luxscaler.errors import InputError
from luxscaler.options import UpscalerOptions
from luxscaler.upscaling.upscaler import Upscaler
from luxscaler.weights.catalogue import known_names
from luxscaler.weights.store import load_network, weights_folder


class Models:
    """A function from a model's name to its upscaler.

    `own_checkpoints` says whether a path of a checkpoint file is taken for a name too: a server must not
    open whatever file a request names.
    """

    def __init__(
        self,
        options: UpscalerOptions = UpscalerOptions(),
        folder: Path | None = None,
        *,
        own_checkpoints: bool = False,
    ) -> None:
        self._options = options
        self._folder = folder or weights_folder()
        self._own_checkpoints = own_checkpoints
        self._loaded: dict[str, Upscaler] = {}
        self._lock = threading.Lock()

    def __call__(self, name: str) -> Upscaler:
        """The upscaler of that model; InputError for an unknown name, WeightsError for bad weights."""
        known = known_names()
        if name not in known and not self._own_checkpoints:
            raise InputError(f"model is {name!r}; it must be one of {', '.join(known)}")
        with self._lock:
            if name not in self._loaded:
                network = load_network(name, self._folder).module
                self._loaded[name] = Upscaler(network, self._options)
            return self._loaded[name]
