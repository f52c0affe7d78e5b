"""The program against hostile endpoints: ``python -m tests.bench.hostile [--count 100] [--seed 0] [--only KIND]``.

Every endpoint has a kind and a seed (see ``tests/hostile``); a run that does not end by itself gets Ctrl-C or SIGTERM.
Counted are crashes, hangs (no end in time after the signal), the largest memory, and other things that must not be.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.bench.measure import table
from tests.hostile.endpoint import Attack, attack
from tests.hostile.kinds import KINDS
from tests.program import DATA, read_wav, write_wav

SECONDS = 12
"""Of sound: longer than most attacks take to begin."""


async def attacks(count: int, seed: int, only: str, jobs: int, patience_s: float) -> list[Attack]:
    """Run so many attacks, kind after kind, some at the same time."""
    kinds = [kind for kind in KINDS if only in kind]
    gate = asyncio.Semaphore(jobs)
    with tempfile.TemporaryDirectory() as folder:
        pcm, rate_hz = read_wav(DATA / "sense_0870.wav")
        sound = write_wav(Path(folder) / "sound.wav", (pcm * 9)[: SECONDS * rate_hz * 2], rate_hz)

        async def one(number: int) -> Attack:
            async with gate:
                done = await attack(
                    kinds[number % len(kinds)], seed + number // len(kinds), sound, patience_s=patience_s
                )
            if done.faults:
                print(f"{done.kind}, seed {done.seed}: {done.faults}, exit {done.exit}, {done.peak_mib:.0f} MiB")
                print(f"  rt {' '.join(done.arguments)}\n  {done.err[-600:]!a}", flush=True)
            return done

        return await asyncio.gather(*(one(number) for number in range(count)))


def main() -> None:
    """Run the attacks and print a row for each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="part of the name of a kind")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--patience", type=float, default=20.0, help="seconds until the signal")
    options = parser.parse_args()
    began = time.monotonic()
    done = asyncio.run(attacks(options.count, options.seed, options.only, options.jobs, options.patience))
    rows = []
    for kind in dict.fromkeys(each.kind for each in done):
        mine = [each for each in done if each.kind == kind]
        exits = ", ".join(f"{code}: {count}" for code, count in Counter(each.exit for each in mine).most_common())
        signals = [each.signal_s for each in mine if each.signalled]
        rows.append(
            (
                kind,
                len(mine),
                exits,
                len(signals),
                f"{max(signals, default=0):.1f}",
                max(each.connections for each in mine),
                f"{max(each.peak_mib for each in mine):.0f}",
                sum("crash" in each.faults for each in mine),
                sum("hang" in each.faults for each in mine),
                ", ".join(sorted({fault for each in mine for fault in each.faults})) or "-",
            )
        )
    header = ("kind", "runs", "exits", "signals", "end s", "connections", "peak MiB", "crashes", "hangs", "faults")
    table(header, rows)
    faults = Counter(fault for each in done for fault in each.faults)
    print(f"{len(done)} endpoints, faults: {dict(faults) or 'none'}; took {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
