"""Random cuts over numbered turns, dialect by dialect: ``python -m tests.bench.dialects 50 [DIALECT ...]``.

Each line: the dialect, its connections cut, pairs of samples lost and doubled, finals that say ``approx``.
"""

from __future__ import annotations

import asyncio
import random
import sys

from rt_cli.settings import SessionSettings
from tests.exact import judge, turns
from tests.standins.conversing import ConversingScript
from tests.standins.providers import PROVIDERS, Provider
from tests.standins.runs import chosen_settings, listen
from tests.standins.standin import Faults, StandIn

TURNS, CUTS = 8, 5
LISTENING = Provider(dialect="openai", script=ConversingScript, model="whisper-1", session_type="realtime")


async def measure(provider: Provider, kills: int, chance: random.Random) -> str:
    """Cut so many connections, a few in each run, and return a line."""
    lost = doubled = approx = cut = finals = 0
    while cut < kills:
        pcm, spans = turns(TURNS, vary=150)
        cuts = tuple(chance.randrange(2_000, 80_000) for _ in range(CUTS))
        chosen = chosen_settings(SessionSettings(silence_ms=200, prefix_ms=0, session_type=provider.session_type))
        async with StandIn(provider.script, Faults(cuts=cuts)).serving() as server:
            dialect, model = provider.dialect, provider.model
            outcome = await listen(server.url, pcm, dialect=dialect, model=model, chosen=chosen, live=True, speed=4)
        verdict = judge([final.text for final in outcome.finals], spans)
        lost, doubled = lost + verdict.lost, doubled + verdict.doubled
        finals, approx = finals + len(outcome.finals), approx + sum(bool(final.approx) for final in outcome.finals)
        cut += len(server.calls) - 1
    return f"{provider.name:16} {cut:3} cuts  {finals:4} finals  lost {lost}  doubled {doubled}  approx {approx}"


async def main(kills: int, *names: str) -> None:
    """Measure all dialects, or those with these names."""
    chance = random.Random(17)
    for provider in (LISTENING, *PROVIDERS):
        if names and provider.dialect not in names:
            continue
        sys.stdout.write(await measure(provider, kills, chance) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
