"""Fuzzes one target for some seconds: guided by coverage where atheris is there, else blindly.

What a target stumbles over is written to the folder `found` beside the corpus, and belongs into
tests/vectors. Exits with a status other than 0 then.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 4096  # bytes of an input
SLOWEST = 5  # seconds that one input may take


def guided(target: str, seconds: int, corpus: Path, found: Path) -> None:
    """Let libFuzzer search; it ends the process."""
    atheris: Any = importlib.import_module("atheris")  # without types, and not on every machine
    with atheris.instrument_imports(
        include=["tokenward_agent", "tokenward_protocol", "tokenward_relay"]
    ):
        from support.fuzz_targets import TARGETS, seeds
    for seed in seeds(target):
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        f"-timeout={SLOWEST}",
        f"-artifact_prefix={found}/",
        "-verbosity=0",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], TARGETS[target])
    atheris.Fuzz()


def blind(target: str, seconds: int, found: Path) -> int:
    """Change the seeds at random and keep nothing but what went wrong."""
    from support.fuzz_targets import TARGETS, seeds

    run: Callable[[bytes], None] = TARGETS[target]
    beginnings, choose, runs = seeds(target), random.Random(), 0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        data = bytearray(choose.choice(beginnings)[:LONGEST])
        for _ in range(choose.randint(1, 6)):
            at, to = sorted(choose.randrange(len(data) + 1) for _ in range(2))
            what = choose.randrange(4)
            if what == 0:
                del data[at : min(to, at + 8)]
            elif what == 1:
                data[at:at] = choose.randbytes(choose.randint(1, 4))
            elif what == 2:
                data[at:at] = data[at : min(to, at + 64)]
            elif at < len(data):
                data[at] = choose.choice((data[at] ^ 1 << choose.randrange(8), 0, 0x80, 0xFF))
        runs += 1
        try:
            run(bytes(data))
        except BaseException:
            (found / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
            sys.stderr.write(f"found {data.hex()}\n")
            raise
    sys.stdout.write(f"{runs} inputs to {target}, not guided: atheris is not there\n")
    return 0


def main() -> int:
    """Return 0 if nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=["wire", "vault", "request", "form"])
    parser.add_argument("seconds", type=int, metavar="SECONDS")
    parser.add_argument("folder", type=Path, help="where the corpus is kept")
    options = parser.parse_args()
    corpus, found = options.folder / options.target, options.folder / "found"
    corpus.mkdir(parents=True, exist_ok=True)
    found.mkdir(exist_ok=True)
    if importlib.util.find_spec("atheris") is None:
        return blind(options.target, options.seconds, found)
    guided(options.target, options.seconds, corpus, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
