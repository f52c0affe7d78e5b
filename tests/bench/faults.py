"""The cost of faults: ``python -m tests.bench.faults kills 100 [KIND]``, or one of the other measurements.

They are ``silence 100`` (an endpoint that invents words for silence), ``outages``, ``rollovers`` and ``soak 8``.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import sys
import time
from typing import TYPE_CHECKING, Literal, get_args

from tests.bench.measure import table
from tests.habits import Habits
from tests.kills import KINDS, kill_run
from tests.outages import outage
from tests.rollovers import rollovers
from tests.silence import run_case
from tests.soak import soak

if TYPE_CHECKING:
    from collections.abc import Iterable

OutageKind = Literal["black hole", "refused"]


async def kills(each: int, part: str = "") -> None:
    """Kill connections until each kind of endpoint whose name has this part has this many kills."""
    rows, total = [], 0
    for name, kind in KINDS.items():
        if part not in name:
            continue
        runs = killed = reconnects = lost = doubled = disorder = garbled = broken = 0
        while killed < each:
            outcome = await kill_run(kind, seed=runs, count=20 if kind.exact else 40)
            runs += 1
            killed += outcome.kills
            reconnects += outcome.run.summary.reconnects
            lost += outcome.finals.lost + outcome.record.lost
            doubled += outcome.finals.doubled
            disorder += outcome.finals.out_of_order
            garbled += outcome.finals.garbled + outcome.record.garbled
            if not kind.holds(outcome):
                broken += 1
                print(f"{name}, seed {runs - 1}: {outcome.finals} {outcome.record} {outcome.run.summary}")
        total += killed
        rows.append((name, f"0-{runs - 1}", killed, reconnects, lost, doubled, disorder, garbled, broken))
    table(("kind", "seeds", "kills", "reconnects", "lost", "doubled", "disorder", "garbled", "broken runs"), rows)
    print(f"{total} kills; lost, doubled and the like in pairs of samples")


async def silence(runs: int) -> None:
    """Send sound with much silence to an endpoint that invents words for it."""
    rows = {}
    for number in range(runs):
        heard = await run_case(number)
        if not heard.right:
            print(f"run {number}: {heard}", flush=True)
        origin = heard.case.split(",")[0]
        figures = (1, heard.reconnects, heard.invented, heard.verdict.lost, heard.verdict.doubled, not heard.right)
        rows[origin] = [sum(pair) for pair in zip(rows.get(origin, [0] * len(figures)), figures, strict=True)]
    header = ("source", "runs", "reconnects", "invented finals", "lost", "doubled", "not right")
    table(header, [(origin, *figures) for origin, figures in rows.items()])


async def outages(seconds: Iterable[float] = (3.5, 15, 60)) -> None:
    """Stream in real time through a network that is interrupted."""
    rows = []
    for kind, length, catch_up in itertools.product(get_args(OutageKind), seconds, (math.inf, 2.0)):
        what = await outage(kind, length, catch_up=catch_up)
        times = (what.stalled, what.lost, what.retried, what.resumed, what.caught_up)
        shown = ["-" if each is None else f"{each:.2f}" for each in times]
        rows.append((kind, length, catch_up, what.verdict.lost, what.verdict.doubled, *shown))
    header = ("outage", "s", "catch-up", "lost", "doubled", "stalled", "left", "retry after", "resumed", "caught up")
    table(header, rows)


async def rotate() -> None:
    """Ten rotations and more."""
    rows = []
    for lifetime_s in (1.0, 2.0, 4.0):
        run, verdict = await rollovers(Habits(lifetime_s=lifetime_s))
        rows.append((lifetime_s, run.states.count("rolled_over"), run.states.count("lost"), verdict))
    table(("session lives s", "rollovers", "losses", "verdict"), rows)


def main() -> None:
    """Run the measurement of the arguments."""
    began = time.monotonic()
    match sys.argv[1:]:
        case ["kills", each]:
            asyncio.run(kills(int(each)))
        case ["kills", each, part]:
            asyncio.run(kills(int(each), part))
        case ["silence", runs]:
            asyncio.run(silence(int(runs)))
        case ["outages"]:
            asyncio.run(outages())
        case ["rollovers"]:
            asyncio.run(rotate())
        case ["soak", hours]:
            soak(float(hours))
        case _:
            sys.exit(__doc__)
    print(f"took {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
