"""Stands in for the process that makes previews: answers at once, with grey before and white after.

monkeypatch.setattr("luxscaler.console.previews._command", fake_previews)
"""

import sys
from pathlib import Path

_CODE = """
import json, os, sys, time
folder, grey, white = sys.argv[1], b"\\x00\\x34" * 3, b"\\x00\\x3c" * 3
for line in sys.stdin.buffer:
    task = json.loads(line)
    with open(f"{folder}/asked", "a") as file:
        file.write(f"{os.getpid()} {line.decode()}")
    model = task.get("inputs", {}).get("model")
    if model == "anime":
        os._exit(7)
    if model == "fast":
        told, data = {"error": "the network is not there"}, b""
    elif task["kind"] == "overview":
        told, data = {"overview": [6, 4]}, 24 * grey
    else:
        told = {"before": [8, 8], "after": [32, 32], "box": [1, 2, 8, 8], "seconds": 0.5, "megapixels": 0.25}
        told |= {"first": False, "peak": 1.0}
        data = 64 * grey + 1024 * white
    sys.stdout.buffer.write(json.dumps({**told, "bytes": len(data)}).encode() + b"\\n" + data)
    sys.stdout.buffer.flush()
"""


def fake_previews(folder: Path) -> list[str]:
    """In place of the command; `folder/asked` gets the process and the task of each request.

    The model "anime" crashes it, "fast" is an error.
    """
    return [sys.executable, "-S", "-c", _CODE, str(folder)]
