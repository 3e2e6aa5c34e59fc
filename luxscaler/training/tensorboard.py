"""A training's figures and samples for TensorBoard: `OUT.train/tensorboard/`, by the package tensorboardX.

Its own writing thread is not used: on a full disk the thread would end and the training wait for it.
"""

import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from luxscaler.errors import InputError
from luxscaler.training.folder import write_error

FOLDER = "tensorboard"


def check_tensorboard() -> None:
    """Raise InputError if tensorboardX is not installed."""
    try:
        import tensorboardX.event_file_writer  # noqa: F401, PLC0415
    except ImportError as error:
        raise InputError(
            "--tensorboard needs the package tensorboardX: pip install 'luxscaler[train]'"
        ) from error


class Board:
    """An open file of events."""

    def __init__(self, folder: Path, step: int) -> None:
        """step: steps done; TensorBoard drops what earlier files hold of later steps.

        Raises TrainingError if the file cannot be written.
        """
        from tensorboardX.event_file_writer import EventsWriter  # noqa: PLC0415
        from tensorboardX.proto.event_pb2 import Event, SessionLog  # noqa: PLC0415

        self._path = folder / FOLDER
        try:
            self._path.mkdir(exist_ok=True)
            self._writer = EventsWriter(str(self._path / f"step{step}"))
            start = SessionLog(status=SessionLog.START)
            self._writer.write_event(Event(step=step + 1, session_log=start, wall_time=time.time()))
        except OSError as error:
            raise write_error(self._path, error) from error

    def add(self, line: Mapping[str, Any]) -> None:
        """The numbers of a line of the log; of a validation under `validation/`. Raises TrainingError."""
        from tensorboardX.summary import scalar  # noqa: PLC0415

        validation = line.get("validation")
        prefix, values = ("step", line) if validation is None else ("validation", validation)
        for name, value in values.items():
            if name != "step" and value is not None:
                self._write(line["step"], scalar(f"{prefix}/{name}", value))
        if validation is not None:
            self._flush()

    def picture(self, step: int, data: bytes) -> None:
        """A sheet of samples, PNG. Raises TrainingError."""
        from tensorboardX.summary import image  # noqa: PLC0415

        with Image.open(io.BytesIO(data)) as sheet:
            self._write(step, image("samples", np.asarray(sheet.convert("RGB")), dataformats="HWC"))
        self._flush()

    def close(self) -> None:
        """Close the file. Raises TrainingError."""
        try:
            self._writer.close()
        except OSError as error:
            raise write_error(self._path, error) from error

    def _write(self, step: int, summary: object) -> None:
        from tensorboardX.proto.event_pb2 import Event  # noqa: PLC0415

        try:
            self._writer.write_event(Event(step=step, summary=summary, wall_time=time.time()))
        except OSError as error:
            raise write_error(self._path, error) from error

    def _flush(self) -> None:
        try:
            self._writer.flush()
        except OSError as error:
            raise write_error(self._path, error) from error
