"""Connections killed at random byte offsets, and the proof from finals and endpoint that no sound is lost."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tests.exact import ExactEndpoint, Verdict, judge, record_verdict, turns
from tests.habits import Habits
from tests.proxy import Fault, Proxy
from tests.streaming.harness import MemorySource, Run, settings, stream, with_turns

if TYPE_CHECKING:
    from rt_cli.settings import TurnDetection


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of endpoint, and the side that detects the turns."""

    habits: Habits
    turns: TurnDetection = "server_vad"
    speed: float = math.inf
    """Times real time."""
    kills: int = 1000
    """Most kills in one run."""
    exact: bool = True
    """Whether the turn of each sample is known; else repeated sound may give repeated words."""
    large: int = 300_000
    """Bytes that are enough for progress."""

    def holds(self, outcome: Outcome) -> bool:
        """Return whether a run kept its guarantee."""
        return outcome.perfect if self.exact else outcome.at_least_once


KINDS = {
    "server VAD": Kind(Habits()),
    "server VAD, finals 50 ms later": Kind(Habits(final_delay_s=0.05), speed=10.0),
    "turns of our own": Kind(Habits(), "client"),
    "turns of our own, no ids": Kind(Habits(ids="none", offsets=False), "client"),
    # Every connection sends all sound again, so some connections must survive.
    "one turn": Kind(Habits(), "none", kills=2),
    "one turn, no ids": Kind(Habits(ids="none", offsets=False), "none", kills=2),
    "no ids": Kind(Habits(ids="none"), exact=False, large=800_000),
    "no offsets": Kind(Habits(offsets=False), exact=False, large=800_000),
    "neither ids nor offsets": Kind(Habits(ids="none", offsets=False), exact=False, large=800_000),
    "strange ids": Kind(Habits(ids="strange")),
    "offsets of the buffer": Kind(Habits(origin="buffer")),
    "offsets of the clock": Kind(Habits(origin="epoch"), exact=False, large=800_000),
    "offsets of the connection's clock": Kind(Habits(origin="connection"), exact=False, large=800_000),
    "one id": Kind(Habits(ids="one")),
    "one id, turns of our own": Kind(Habits(ids="one"), "client"),
    "one id, offsets of the buffer": Kind(Habits(ids="one", origin="buffer")),
    "ids at the start alone": Kind(Habits(ids="at the start")),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of one run."""

    run: Run
    kills: int
    finals: Verdict
    """Judged from the printed finals."""
    record: Verdict
    """Judged from the sound at the endpoint."""

    @property
    def complete(self) -> bool:
        """Return whether the run succeeded with all the sound, and with consecutive turn numbers."""
        numbers = [final.turn for final in self.run.finals]
        in_order = numbers == list(range(1, len(numbers) + 1))
        return self.run.summary.exit == 0 and self.run.summary.complete and in_order and not self.finals.lost

    @property
    def at_least_once(self) -> bool:
        """Return whether nothing is lost or garbled, and repeated words are marked as uncertain."""
        known = [final for final in self.run.finals if not final.approx]
        doubtless = not self.finals.doubled or len(known) < len(self.run.finals)
        return self.complete and not self.finals.garbled and self.record.perfect and doubtless

    @property
    def perfect(self) -> bool:
        """Return whether, in addition, nothing is repeated."""
        return self.at_least_once and self.finals.perfect


async def kill_run(kind: Kind, seed: int, *, count: int = 20, live_speed: float | None = None) -> Outcome:
    """Send exact sound through connections that are killed.

    Args:
        kind: Of endpoint.
        seed: Of the offsets.
        count: Turns.
        live_speed: Times real time of a source that does not wait; None for a file as fast as it goes.
    """
    chance = random.Random(seed)
    pcm, spans = turns(count, speech_ms=300, silence_ms=300, vary=100)
    plan = [_fault(chance, kind.large, number) for number in range(kind.kills)]
    proxy = Proxy(lambda number: plan[number] if number < len(plan) else Fault())
    source = MemorySource(pcm, live=live_speed is not None, speed=live_speed or 1.0)
    async with ExactEndpoint(kind.habits).serving() as endpoint, proxy.serving(endpoint.port):
        run = await stream(
            f"ws://127.0.0.1:{proxy.port}/v1", source, with_turns(settings(speed=kind.speed), kind.turns)
        )
        finals = judge([final.text for final in run.finals], spans)
        return Outcome(run, proxy.cuts, finals, record_verdict(endpoint.calls, spans))


def _fault(chance: random.Random, large: int, number: int) -> Fault:
    """Return a fault; every third connection lives long enough, because three fruitless ones end the run."""
    how: Literal["rst", "fin", "half"] = chance.choice(("rst", "rst", "fin", "half"))
    if number % 3 == 2:
        return Fault(cut_after=chance.randrange(large // 2, large), how=how)
    if chance.random() < 0.2:
        return Fault(cut_down_after=chance.randrange(1, 4000), how="rst" if how == "rst" else "fin")
    return Fault(cut_after=chance.randrange(100, large // 2), how=how)
