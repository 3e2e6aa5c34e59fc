"""The tar that a training gives, as bytes: a tiny network and what is written beside it."""

import io
import tarfile
from pathlib import Path

from tests.support.training_files import write_base

CARD = b"# mine\n\n| | PSNR dB |\n| --- | --- |\n| trained | 27.13 |\n"


def bundle(folder: Path, *, mode: str = "w") -> bytes:
    """mode: w, or w:gz."""
    network = write_base(folder / "bundled.safetensors").read_bytes()
    return tar({"model.safetensors": network, "README.md": CARD, "samples/0000006.png": b"\x89PNG"}, mode)


def tar(files: dict[str, bytes], mode: str = "w") -> bytes:
    """Files under these names."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
