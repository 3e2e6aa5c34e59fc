"""Runs tiles on the Replicate backend with a real job folder, in a process that a test may kill.

python -m tests.support.run_tiles URL TOKEN VERSION FOLDER TILES
"""

import sys
from contextlib import closing
from pathlib import Path

from luxscaler.backends.replicate.backend import ReplicateBackend
from luxscaler.backends.replicate.session import ReplicateOptions
from luxscaler.errors import TileError
from luxscaler.masters.job import Job
from tests.support.tiles import a_context, a_tile


def main(url: str, token: str, version: str, folder: Path, tiles: int) -> None:
    """Do what is not done yet, one tile after the other."""
    job = Job(folder, {"test": "run_tiles"})
    options = ReplicateOptions(settling=0.5)
    backend = ReplicateBackend(token, version, options, base_url=url)
    with closing(job), backend.open(a_context(tiles, ledger=job)) as session:
        done = job.intact()
        for index in range(tiles):
            while index not in done:
                tile = a_tile(index, tiles=tiles)
                try:
                    job.store(index, session.run(tile), 1)
                except TileError as error:
                    print(error)
                    continue
                done.add(index)


if __name__ == "__main__":
    _, URL, TOKEN, VERSION, FOLDER, TILES = sys.argv
    main(URL, TOKEN, VERSION, Path(FOLDER), int(TILES))
