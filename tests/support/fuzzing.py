"""Files of every format that is read, and what damage makes of them: for the fuzz run and its part in the
suite.

    ./scripts/fuzz --files 10000 --seed 1

Each file is one seed file after one of MUTATIONS. It is read through the isolation, by header, at once and in
bands; what counts is that this process lives, that no limit is passed, and that every refusal is one line of
ours. Whether the two ways of reading agree is counted too.
"""

import argparse
import random
import re
import resource
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from luxscaler.errors import PictureError
from luxscaler.isolation.pool import decode_to_file, read_header_isolated, read_picture_isolated
from luxscaler.options import DecodeLimits
from tests.support.fuzz_seeds import seed_files

LIMITS = DecodeLimits(seconds=10.0, memory_bytes=2**30)
MAX_PIXELS = 4_000_000
_GRACE_SECONDS = 5.0
_ADDED_BYTES = 300 * 2**20
"""What this process may have grown by at its peak: a result of MAX_PIXELS, and the heap."""
_INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 12000)
_INTERNALS = re.compile(
    r"Traceback|0x[0-9a-f]{6}|/proc/|object at|index out of range|codec can't|zip\(\)|NoneType|\n"
    r"|unpack requires|invalid literal|not subscriptable"
)


def flipped(data: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, rather at the beginning, where headers are."""
    new = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        new[rng.randrange(min(len(new), rng.choice([64, 512, len(new)])))] = rng.randrange(256)
    return bytes(new)


def one_bit(data: bytes, rng: random.Random) -> bytes:
    new = bytearray(data)
    new[rng.randrange(len(new))] ^= 1 << rng.randrange(8)
    return bytes(new)


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def number(data: bytes, rng: random.Random) -> bytes:
    """A number that programs trip over, in either byte order."""
    code = rng.choice(["<H", ">H", "<I", ">I"])
    size = struct.calcsize(code)
    at = rng.randrange(max(1, min(len(data) - size, rng.choice([128, 1024, len(data)]))))
    value = rng.choice(_INTERESTING) & (2 ** (8 * size) - 1)
    return data[:at] + struct.pack(code, value) + data[at + size :]


def without(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.randint(1, 64) :]


def repeated(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    part = data[start : start + rng.randint(1, 256)]
    return data[:start] + part * rng.choice([2, 3, 50]) + data[start:]


def noise_behind(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    return data[:start] + rng.randbytes(len(data) - start)


def zeros(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    size = rng.randint(1, 64)
    return data[:start] + bytes(size) + data[start + size :]


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(flipped, one_bit, cut, number, without, repeated, noise_behind, zeros),
)


def outcome_of(data: bytes, folder: Path, faults: list[str]) -> str:
    """Read in all three ways: the outcome of the first that refuses, or "read"; faults go onto the list."""
    source = folder / "file.bin"
    source.write_bytes(data)
    ways: dict[str, Callable[[], object]] = {
        "header": lambda: read_header_isolated(source, limits=LIMITS),
        "whole": lambda: read_picture_isolated(source, max_pixels=MAX_PIXELS, limits=LIMITS),
        "bands": lambda: decode_to_file(source, folder / "linear", max_pixels=MAX_PIXELS, limits=LIMITS),
    }
    found: dict[str, str] = {}
    for way, read in ways.items():
        start = time.monotonic()
        try:
            read()
            found[way] = "read"
        except PictureError as error:
            found[way] = str(error)
            if not str(error).startswith("file.bin ") or _INTERNALS.search(str(error)):
                faults.append(f"{way}: message {str(error)!r}")
        except Exception as error:
            found[way] = repr(error)
            faults.append(f"{way}: {error!r}")
        if time.monotonic() - start > LIMITS.seconds + _GRACE_SECONDS:
            faults.append(f"{way}: took {time.monotonic() - start:.1f} s")
    if (found["whole"] == "read") != (found["bands"] == "read"):
        faults.append(f"readers disagree: whole {found['whole']!r}, bands {found['bands']!r}")
    (folder / "linear").unlink(missing_ok=True)
    return kind_of(next((text for text in found.values() if text != "read"), "read"))


def kind_of(text: str) -> str:
    """A refusal without its numbers and what libraries add."""
    text = re.sub(r"\d[\d,.]*", "N", text.removeprefix("file.bin "))
    return text.partition(":")[0][:60]


def run(
    files: int, seed: int, keep: Path | None = None, seconds: float = 1e9
) -> tuple[Counter[str], list[str]]:
    """Read so many damaged files; outcomes by their number, and the faults."""
    seeds = list(seed_files().items())
    rng = random.Random(seed)
    outcomes: Counter[str] = Counter()
    faults: list[str] = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="luxscaler-fuzz-") as folder:
        for index in range(files):
            if time.monotonic() > end:
                break
            name, data = seeds[index % len(seeds)]
            mutation = rng.choice(MUTATIONS)
            damaged = mutation(data, rng) or b"\0"
            known = len(faults)
            outcomes[outcome_of(damaged, Path(folder), faults)] += 1
            for number_of in range(known, len(faults)):
                faults[number_of] = f"file {index} ({name}, {mutation.__name__}): {faults[number_of]}"
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{seed}-{index}").write_bytes(damaged)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    if grown > _ADDED_BYTES:
        faults.append(f"this process grew by {grown / 1e6:.0f} MB")
    return outcomes, faults


def main() -> None:
    """Run, report, and leave with status 1 if there was a fault."""
    parser = argparse.ArgumentParser(prog="./scripts/fuzz", description="Read damaged files of every format.")
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1e9, help="stop then, with what there is")
    parser.add_argument("--keep", type=Path, default=Path("out/fuzz"), help="keeps files with faults")
    options = parser.parse_args()
    start = time.monotonic()
    outcomes, faults = run(options.files, options.seed, options.keep, options.seconds)
    total = sum(outcomes.values())
    print(f"{total} files, seed {options.seed}, {time.monotonic() - start:.0f} s")
    for text, count in outcomes.most_common():
        print(f"{count:7d}  {text}")
    for fault in faults:
        print(f"FAULT {fault}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
