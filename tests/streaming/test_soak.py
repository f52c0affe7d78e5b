"""Hours of audio through connections that end: no growth, no leak, no loss."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

import pytest

from tests.exact import ExactEndpoint, judge, turns
from tests.fakes import run
from tests.habits import Habits
from tests.soak import run_soak
from tests.streaming.harness import MemorySource, Run, make_streamer, settings

pytestmark = pytest.mark.alone

OURS = ("capture", "progress", "delivery", "link", "receive", "pings", "watch", "pump")
"""Names of tasks."""
MOST_GROWTH_MIB = 5.0
HOURS = [pytest.param(0.5, id="30 min"), pytest.param(8, id="8 h", marks=pytest.mark.long)]


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory and descriptors from /proc")
@pytest.mark.parametrize("hours", HOURS)
def test_hours_of_sound_leave_nothing_behind(hours: float) -> None:
    """Memory, descriptors and threads stay constant, each turn comes once, and the CPU time per hour stays the same."""
    soaked = run_soak(hours, lifetime_s=0.2 if hours < 1 else 1.0)
    later = soaked.after(0.2)

    assert not soaked.wrong
    assert (soaked.summary["exit"], soaked.summary["complete"]) == (0, True)
    assert soaked.summary["ledger"]["settled"] == round(hours * 3600) * 24_000
    assert soaked.summary["reconnects"] >= 3
    assert soaked.growth_mib <= MOST_GROWTH_MIB
    # Between two connections there is one less.
    assert max(sample.fds for sample in later) - min(sample.fds for sample in later) <= 2
    assert max(sample.threads for sample in later) - min(sample.threads for sample in later) <= 1
    if hours >= 1:
        assert soaked.cpu_per_hour(0.75, 1.0) <= 1.3 * soaked.cpu_per_hour(0.1, 0.4)


def test_reconnects_leave_no_task_behind() -> None:
    """After any number of reconnects there is one task of each kind."""
    pcm, spans = turns(30, speech_ms=300, silence_ms=300)
    most: Counter[str] = Counter()

    async def scenario() -> Run:
        nonlocal most
        result = Run()
        async with ExactEndpoint(Habits(lifetime_s=0.4, announced=False)).serving() as endpoint:
            streamer = make_streamer(result, endpoint.url, MemorySource(pcm), settings(speed=3.0))
            streaming = asyncio.create_task(streamer.run())
            while not streaming.done():
                await asyncio.sleep(0.05)
                most |= Counter(task.get_name().split()[0] for task in asyncio.all_tasks())
            result.ended = await streaming
        return result

    result = run(scenario(), seconds=60)
    assert judge([final.text for final in result.finals], spans).perfect
    assert result.summary.reconnects >= 5
    assert {name: most[name] for name in OURS} == dict.fromkeys(OURS, 1)
