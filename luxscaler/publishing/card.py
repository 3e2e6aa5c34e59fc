"""The model's card as the Hub shows it: the training's own card under a header that the Hub reads."""

from luxscaler.publishing.package import README, Package
from luxscaler.training.folder import SAMPLES

_HEADER = """---
library_name: luxscaler
pipeline_tag: image-to-image
tags:
- super-resolution
- image-upscaling
- real-esrgan
---

"""
_MAX_README = 1 << 20


def card(package: Package) -> str:
    """Markdown: figures from the training's card, then the samples of the step that was kept."""
    path = package.files.get(README)
    text = path.read_text("utf-8", "replace")[:_MAX_README] if path else f"# {package.name}\n"
    if text.startswith("---\n"):
        return text
    samples = sorted(name for name in package.files if name.startswith(f"{SAMPLES}/"))
    step = package.facts.get("step", "")
    kept = next((name for name in samples if step.isdigit() and name.endswith(f"/{int(step):07d}.png")), None)
    shown = kept or (samples[-1] if samples else None)
    if shown is None:
        return _HEADER + text
    return f"{_HEADER}{text.rstrip()}\n\n## Samples\nHeld-out pictures.\n\n![samples]({shown})\n"
