"""Modules that load at the first use of what only they have.

PyTorch asks its compiler and its distributed tensors the same two questions for each training and comparison:
is there anything of yours here? To load them for that took every worker 2 s of processor time.
"""

import importlib
import sys
from types import ModuleType
from typing import Any

import torch.testing._comparison

_COMPILER = "torch._dynamo"


class Deferred(ModuleType):
    """Stands where the module of this name will; `answers` are what it would have, by name."""

    def __init__(self, name: str, **answers: object) -> None:
        super().__init__(name)
        vars(self).update(answers)

    def __getattr__(self, name: str) -> Any:
        """What is no answer is the real module's, which is loaded now and stays."""
        if name.startswith("__") and name != "__path__":  # what looks through all modules; __path__: imports
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def _not_compiled(function: Any, _recursive: bool = True, **_options: object) -> Any:
    """What `disable` gives, of a function that nothing compiles."""
    return function


def defer_what_no_test_uses() -> None:
    """Let PyTorch train without its compiler and compare tensors without looking for distributed ones."""
    if _COMPILER not in sys.modules:
        config = Deferred(f"{_COMPILER}.config", error_on_nested_fx_trace=True)
        nothing = Deferred(_COMPILER, disable=_not_compiled, graph_break=lambda: None, config=config)
        sys.modules[_COMPILER] = nothing
        torch._dynamo = nothing
    torch.testing._comparison._HAS_DTENSOR = False
