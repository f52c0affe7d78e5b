"""Fuzzed frames against ``rt serve``: ``python -m tests.bench.fuzz_server [--frames 200000] [--clients 4] [--seed 0]``.

Frames are mutated events, JSON, bytes, binary frames and fragments, by several clients at once; beside them, one client
sends bytes that are no WebSocket at all. Counted are crashes, hangs, closes without a cause, and the largest memory.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from websockets.asyncio.client import connect

from tests.bench.measure import table
from tests.program import ended, peak_mib, start
from tests.server.fuzz import Fuzzer, Tally
from tests.server.transcription_server import Upload, transcription_server

if TYPE_CHECKING:
    import subprocess

EXPECTED_CLOSES = {1006, 1007, 1013}
"""How a session ends because of a frame that is no UTF-8 (its close frame is lost where we were still sending), and
where the clients that are gone, and the one without WebSocket, still take the places."""
_UPGRADE = (
    b"GET /v1/realtime?model=any HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


async def _words(upload: Upload) -> None:
    await upload.answer({"text": "some words"})


async def raw_bytes(url: str, seed: int) -> None:
    """Send bytes that are no HTTP, or no frames, connection after connection."""
    chance, place = random.Random(seed), urlsplit(url)
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(place.hostname, place.port)
            opening = chance.choice((b"", _UPGRADE, _UPGRADE, _UPGRADE[: chance.randrange(len(_UPGRADE))]))
            writer.write(opening + chance.randbytes(chance.choice((1, 100, 70_000))))
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(65_536), 1)
            writer.transport.abort()
        await asyncio.sleep(0.05)


async def fuzz(url: str, process: subprocess.Popen[bytes], frames: int, clients: int, seed: int) -> list[Tally]:
    """Send so many frames by so many clients at once; prints memory now and then."""
    fuzzers = [Fuzzer(url, seed + number, fragments=0.2) for number in range(clients)]
    shown = 0

    async def one(fuzzer: Fuzzer) -> None:
        nonlocal shown
        async for _ in fuzzer.run(frames // clients):
            assert process.poll() is None, "the server has ended"
            sent = sum(each.tally.frames for each in fuzzers)
            if sent >= shown + frames // 10:
                shown = sent
                print(f"{sent} frames, {peak_mib(process.pid):.0f} MiB at most", flush=True)

    raw = asyncio.create_task(raw_bytes(url, seed))
    async with asyncio.TaskGroup() as group:
        for fuzzer in fuzzers:
            group.create_task(one(fuzzer))
    raw.cancel()
    async with asyncio.timeout(10), connect(url + "?model=any"):
        pass  # a good client is still served
    return [fuzzer.tally for fuzzer in fuzzers]


async def measure(frames: int, clients: int, seed: int) -> None:
    """Start a server, send the frames, end it with SIGTERM, and print the figures."""
    began = time.monotonic()
    async with transcription_server(_words) as recognizer:
        process = await asyncio.to_thread(start, "serve", "--port", "0", "--recognizer", f"http:{recognizer.url}")
        assert process.stdout is not None
        url = (await asyncio.to_thread(process.stdout.readline)).decode().strip()
        tallies: list[Tally] = []
        hangs = 0
        try:
            tallies = await fuzz(url, process, frames, clients, seed)
        except* TimeoutError:
            hangs = 1
        memory = peak_mib(process.pid)
        process.send_signal(signal.SIGTERM)
        signalled = time.monotonic()
        ran = await asyncio.to_thread(ended, process)
    closes = sum((tally.closes for tally in tallies), Counter[int | None]())
    rows = [
        ("frames", sum(tally.frames for tally in tallies)),
        ("events of the server", sum(sum(tally.events.values()) for tally in tallies)),
        ("of them errors", sum(sum(tally.errors.values()) for tally in tallies)),
        ("crashes", int(ran.exit == 1) + ran.err.count("Traceback") + ran.err.count("bug")),
        ("hangs", hangs),
        ("closes without a cause", sum(tally.unprovoked for tally in tallies) - closes[1013]),
        ("closes of another code", {code: count for code, count in closes.items() if code not in EXPECTED_CLOSES}),
        ("slowest answer s", f"{max((tally.slowest_s for tally in tallies), default=0):.2f}"),
        ("memory at most MiB", f"{memory:.0f}"),
        ("end after SIGTERM s", f"{time.monotonic() - signalled:.1f}"),
        ("exit", ran.exit),
        ("took s", f"{time.monotonic() - began:.0f}"),
    ]
    table(("", f"{clients} clients"), rows)
    if ran.err:
        print(ascii(ran.err[-2000:]))


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=200_000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    asyncio.run(measure(options.frames, options.clients, options.seed))


if __name__ == "__main__":
    main()
