"""Makes the unmaintained reference packages `basicsr` and `realesrgan` importable, and nothing else.

Two things are in their way (requirements-reference.txt pins them as they are):
- torchvision's wheel beside CPU-only PyTorch has no compiled operators, and then fails on import, because it
  describes `torchvision::nms` and `qnms` without looking whether they exist. They are declared here and never
  called.
- basicsr imports `torchvision.transforms.functional_tensor`, which torchvision 0.17 merged into
  `torchvision.transforms.functional`. The old name becomes an alias.

Where torchvision is a full build only the second is done.
"""

import importlib
import sys
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch

MISSING_OPERATORS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
OLD_NAME = "torchvision.transforms.functional_tensor"
_declared: list[torch.library.Library] = []
"""The declarations live as long as these objects."""


@cache
def make_importable() -> None:
    """After this `import basicsr` and `import realesrgan` work; doing it again does nothing."""
    _load_compiled_operators()
    for name, schema in MISSING_OPERATORS.items():
        if not hasattr(torch.ops.torchvision, name):
            if not _declared:
                _declared.append(torch.library.Library("torchvision", "FRAGMENT"))  # type: ignore[no-untyped-call]
            _declared[0].define(schema)  # type: ignore[no-untyped-call]
    sys.modules.setdefault(OLD_NAME, importlib.import_module("torchvision.transforms.functional"))


def _load_compiled_operators() -> None:
    """Load torchvision's operators where they fit this PyTorch; importing torchvision would fail without."""
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("torchvision is not installed: see requirements-reference.txt")
    for library in sorted(Path(spec.origin).parent.glob("_C*.*")):
        with suppress(OSError):  # built for CUDA libraries, or a PyTorch, that are not here
            torch.ops.load_library(library)  # type: ignore[no-untyped-call]
