"""The benchmarks say when they are worth nothing, and their tables go to one place."""

from __future__ import annotations

import asyncio
import base64
import json
import sys

import pytest
from websockets.asyncio.client import connect

from tests.bench.all import SECTION, cells, with_section
from tests.bench.measure import Headroom, sink


def headroom(cpu_s: float, late_ms: float = 1.0) -> Headroom:
    """Of a sink, over ten seconds."""
    return Headroom(wall_s=10, cpu_s=cpu_s, late_p99_ms=late_ms, late_max_ms=late_ms)


@pytest.mark.parametrize(("cpu_s", "times", "starved"), [(1, 10, False), (7.9, 1.27, False), (8.1, 1.23, True)])
def test_starved_sink(cpu_s: float, times: float, starved: bool) -> None:  # noqa: FBT001
    """A sink that takes more than 80 % of a core makes its clients wait."""
    found = headroom(cpu_s)
    assert (found.times, found.starved) == (pytest.approx(times, abs=0.01), starved)


def test_row_for_which_the_sink_starved_is_refused() -> None:
    """In one of its rounds: no figure is printed."""
    good, bad = headroom(2), headroom(9)
    assert cells([2, 3, 9], [20, 24, 36], [good, good, good])[:3] == ("3", "2 .. 9", "1/8.00")
    assert cells([2, 3, 9], [20, 24, 36], [good, bad, good])[:3] == ("refused", "-", "-")


def test_section_is_made_anew() -> None:
    """The hand-written part stays; what was made before is replaced."""
    once = with_section("# measured\n\nby hand\n", "| old |")
    assert once == f"# measured\n\nby hand\n\n{SECTION}\n\n| old |\n"
    assert with_section(once, "| new |\n") == f"# measured\n\nby hand\n\n{SECTION}\n\n| new |\n"


@pytest.mark.skipif(sys.platform == "win32", reason="the sink reads its stdin in its loop")
@pytest.mark.parametrize("sizes", [[480, 480, 480, 479, 478, 480, 1], [1, 2, 3, 3, 2, 1], [2400, 2400, 100]])
def test_sink_counts_each_sample(sizes: list[int]) -> None:
    """By the length of a message and the padding at its end, whatever the one before it was."""

    async def speak(url: str) -> None:
        async with asyncio.timeout(20), connect(url, compression=None) as socket:
            await socket.send(json.dumps({"type": "session.update", "session": {}}))
            for size in sizes:
                audio = base64.b64encode(bytes(size * 2)).decode()
                await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))

    with sink() as endpoint:
        endpoint.mark()
        asyncio.run(speak(endpoint.url))
        after = endpoint.mark()
        report = endpoint.report()
    assert (report["messages"], report["samples"]) == (len(sizes), sum(sizes))
    assert 0 < after.cpu_s < after.wall_s
    assert 0 <= after.late_p99_ms <= after.late_max_ms
