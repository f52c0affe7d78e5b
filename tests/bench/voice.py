"""What a spoken reply costs: start, first sound, CPU time, barge-in. Run: python -m tests.bench.voice."""

from __future__ import annotations

import asyncio
import os
import resource
import statistics
import time
from contextlib import aclosing
from pathlib import Path

from rt_cli.server.replies.interface import Audio, ReplyRequest, Text
from rt_cli.server.replies.registry import open_replier
from rt_cli.server.replies.voice import EspeakProcess, Voice
from tests.memory import part_of

ROUNDS = 50
SENTENCES = "It is five past six, and the sun is about to set. The last train leaves in an hour. Shall I call a taxi?"


def show(name: str, milliseconds: list[float]) -> None:
    """Print median and 95th percentile."""
    ordered = sorted(milliseconds)
    print(f"{name:36} p50 {statistics.median(ordered):8.2f} ms   p95 {ordered[int(len(ordered) * 0.95)]:8.2f} ms")


async def start() -> float:
    """Return the time from process start to the first sound, ms."""
    voice = EspeakProcess()
    began = time.perf_counter()
    try:
        async with aclosing(voice.speak("Yes.", "en-us", 175)) as sound:
            await anext(sound)
            return (time.perf_counter() - began) * 1000
    finally:
        await voice.aclose()


async def first_sound(voice: Voice) -> tuple[float, float, float]:
    """Return of one reply: ms to its first sound, ms to its last, seconds of sound."""
    began = time.perf_counter()
    first, seconds = 0.0, 0.0
    async for part in voice.reply(ReplyRequest()):
        if isinstance(part, Text):
            began = time.perf_counter()
        elif isinstance(part, Audio):
            first = first or (time.perf_counter() - began) * 1000
            seconds += len(part.pcm) / 48_000
    return first, (time.perf_counter() - began) * 1000, seconds


async def barge_in(voice: EspeakProcess) -> float:
    """Return the time from the end of a reply to the first sound of the next, ms."""
    talk = voice.speak("Once more. " * 2_000, "en-us", 175)
    await anext(talk)
    began = time.perf_counter()
    await talk.aclose()
    async with aclosing(voice.speak("Yes.", "en-us", 175)) as sound:
        await anext(sound)
    return (time.perf_counter() - began) * 1000


def child_seconds(pid: int) -> float:
    """CPU time of a process so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def main() -> None:
    """Run all measurements."""
    show("cold: process start to first sound", [await start() for _ in range(10)])
    async with open_replier("voice", reply_text=SENTENCES) as replier:
        assert isinstance(replier, Voice)
        await first_sound(replier)
        process = part_of(replier, EspeakProcess)
        pid = part_of(process, asyncio.subprocess.Process).pid
        ours, theirs = resource.getrusage(resource.RUSAGE_SELF).ru_utime, child_seconds(pid)
        replies = [await first_sound(replier) for _ in range(ROUNDS)]
        ours = resource.getrusage(resource.RUSAGE_SELF).ru_utime - ours
        theirs = child_seconds(pid) - theirs
        spoken = sum(seconds for *_, seconds in replies)
        show("warm: text to first sound", [first for first, *_ in replies])
        show(f"warm: text to last of {replies[0][2]:.1f} s", [last for _, last, _ in replies])
        print(f"CPU per second of speech: child {1000 * theirs / spoken:.2f} ms, server {1000 * ours / spoken:.2f} ms")
        show("barge-in to the next reply's sound", [await barge_in(process) for _ in range(ROUNDS)])


if __name__ == "__main__":
    asyncio.run(main())
