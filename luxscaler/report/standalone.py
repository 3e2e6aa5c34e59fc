"""Builds a self-contained HTML page from a template, its style, its script and parts that are filled in.

NAME.html, NAME.css and NAME.js lie beside each other. A Content-Security-Policy forbids the page to load
anything, and allows only its own script and style, by their hashes, so that a file name with markup in it
cannot act.
"""

import base64
import hashlib
import html
import re
from collections.abc import Mapping
from pathlib import Path

_HEAD = """<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{style}</style>
</head>"""


def standalone_page(
    folder: Path, name: str, title: str, parts: Mapping[str, str], *, has_images: bool = False
) -> str:
    """The page's HTML: NAME.html with each {{PLACE}} filled in by HEAD, SCRIPT or a part.

    parts: HTML; title: text. has_images: whether it shows pictures of data URLs.
    """
    page, style, script = ((folder / f"{name}.{kind}").read_text("utf-8") for kind in ("html", "css", "js"))
    policy = _policy(script, style, has_images=has_images)
    head = _HEAD.format(policy=policy, title=html.escape(title), style=style)
    filled = {**parts, "HEAD": head, "SCRIPT": script}
    # In one pass: what is filled in is not searched for further places.
    return re.sub(r"\{\{([A-Z]+)\}\}", lambda place: filled[place[1]], page)


def _policy(script: str, style: str, *, has_images: bool) -> str:
    """A policy under which nothing is loaded and only this script and this style act."""
    script, style = (
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"
        for text in (script, style)
    )
    images = "img-src data:; " if has_images else ""
    return (
        f"default-src 'none'; {images}script-src {script}; style-src {style}; "
        "base-uri 'none'; form-action 'none'"
    )
