"""What each endpoint gives, each cell from a run against its stand-in: ``python -m tests.bench.matrix [DIALECT ...]``.

``words``: every sample in one final. ``times``: how far a start is from the truth at most. ``ids``: the endpoint's own.
``replay``: the sound behind a cut is in one final, by exact times or by guesses (``approx``). ``expiry``: nothing is
lost or doubled where sessions end.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from msgspec import UNSET

from rt_cli.audio.format import to_ms
from rt_cli.errors import UsageError
from rt_cli.events import Partial, RawEvent
from rt_cli.protocol.dialects import DIALECTS
from tests.exact import ExactEndpoint, judge, speech, turns
from tests.habits import Habits
from tests.proxy import Fault, Proxy
from tests.standins.conversation.partners import PARTNERS
from tests.standins.conversing import ConversingScript
from tests.standins.providers import PROVIDERS, Provider
from tests.standins.runs import chosen_settings, listen
from tests.standins.standin import Faults, Script, StandIn
from tests.talk.scripted_talk import talk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.streaming.harness import Run

TURNS, PAIRS = 6, 2_400
CUT_SAMPLES, CUT_BYTES, LIFETIME_S = 30_000, 80_000, 1.5
_HEAD = ("endpoint", "words", "partials", "times", "ids", "replay", "expiry", "rt talk")
ROWS = [
    Provider(dialect="openai", script=Script, model="whisper-1"),
    Provider(dialect="openai", script=ConversingScript, model="whisper-1", session_type="realtime"),
    *PROVIDERS,
]
"""The first one has an endpoint of its own."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one endpoint gave."""

    words: bool
    partials: bool
    times: str
    """In words: the worst start of a turn, or that there are none."""
    ids: bool
    replay: str
    """``exact``, ``approx`` or ``no``."""
    expiry: bool
    talk: str
    """``yes``, ``no``: it was refused before anything was opened."""

    def cells(self) -> tuple[str, ...]:
        """As text."""
        yes = {True: "yes", False: "no"}
        return (
            yes[self.words],
            yes[self.partials],
            self.times,
            yes[self.ids],
            self.replay,
            yes[self.expiry],
            self.talk,
        )


@asynccontextmanager
async def serving(row: Provider, *, cut: bool = False, expires: bool = False) -> AsyncIterator[str]:
    """The URL of a stand-in with a fault."""
    async with AsyncExitStack() as stack:
        if row is not ROWS[0]:
            faults = Faults(cut_after=CUT_SAMPLES if cut else None, lifetime_s=LIFETIME_S if expires else None)
            server = await stack.enter_async_context(StandIn(row.script, faults).serving())
            yield server.url
            return
        habits = Habits(lifetime_s=LIFETIME_S if expires else None)
        endpoint = await stack.enter_async_context(ExactEndpoint(habits).serving())
        proxy = Proxy(lambda number: Fault(cut_after=CUT_BYTES) if cut and number == 0 else Fault())
        await stack.enter_async_context(proxy.serving(endpoint.port))
        yield f"ws://127.0.0.1:{proxy.port}/v1/realtime"


async def heard(row: Provider, pcm: bytes, *, cut: bool = False, expires: bool = False) -> Run:
    """One run, live, so that faults come in the midst of it."""
    chosen = chosen_settings()
    session = replace(chosen.session, session_type=row.session_type)
    chosen = replace(chosen, session=session, output=replace(chosen.output, raw=True))
    async with serving(row, cut=cut, expires=expires) as url:
        return await listen(url, pcm, dialect=row.dialect, model=row.model, chosen=chosen, live=True, speed=3)


def starts(run: Run, spans: list[range], places: list[int]) -> str:
    """How far the starts of the turns are from the truth."""
    if len(run.finals) != len(spans) or any(final.start_ms is UNSET for final in run.finals):
        return "no"
    if any(final.approx is True for final in run.finals):
        return "approx"
    off = [abs(int(final.start_ms) - place) for final, place in zip(run.finals, places, strict=True)]  # type: ignore[call-overload]
    return f"{max(off)} ms"


def _sent(name: object, run: Run) -> bool:
    """Whether the endpoint itself has named a turn so."""
    raw = (event.event for event in run.events if isinstance(event, RawEvent))
    return any(isinstance(event, dict) and event.get("item_id") == name for event in raw)


async def converses(dialect: str) -> str:
    """Talk, if that is possible."""
    partner = next((each for each in PARTNERS if each.dialect == dialect), None)
    if partner is None:
        try:
            DIALECTS[dialect].for_conversations()
        except UsageError:
            return "no"
        return "untested"
    async with partner.agent(calls_tools=True).serving() as agent:
        said = [speech(number * PAIRS, PAIRS) for number in range(4)]
        held = await talk(agent.port, said, dialect=dialect, model=partner.model)
    whole = [reply.status for reply in held.replies] == ["completed"] * 4 and held.summary.exit == 0
    return "yes" if whole and not agent.refusals else "no"


async def measure(row: Provider) -> Row:
    """Make the runs of one endpoint."""
    pcm, spans = turns(TURNS)
    rate_hz = DIALECTS[row.dialect].rate_hz if row.session_type is None else 24_000
    if row.session_type is not None:
        rate_hz = DIALECTS[row.dialect].for_listening().rate_hz
    places = [to_ms(number * 24_000, rate_hz) for number in range(TURNS)]
    plain = await heard(row, pcm)
    cut = await heard(row, pcm, cut=True)
    expired = await heard(row, pcm, expires=True)
    whole, again, later = (judge([final.text for final in run.finals], spans).perfect for run in (plain, cut, expired))
    guessed = any(final.approx is True for final in cut.finals)
    return Row(
        words=whole,
        partials=any(isinstance(event, Partial) for event in plain.events),
        times=starts(plain, spans, places),
        ids=all(_sent(final.item_id, plain) for final in plain.finals),
        replay="no" if not again else "approx" if guessed else "exact",
        expiry=later,
        talk=await converses(row.dialect),
    )


async def main(*names: str) -> None:
    """Print the matrix, or the rows of these dialects."""
    sys.stdout.write("".join(f"| {cell} " for cell in _HEAD) + "|\n" + "|---" * len(_HEAD) + "|\n")
    for row in ROWS:
        if not names or row.dialect in names:
            cells = (await measure(row)).cells()
            sys.stdout.write("".join(f"| {cell} " for cell in (row.name, *cells)) + "|\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
