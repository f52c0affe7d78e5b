"""Hostile endpoints, by kind and seed, and a run of the real program against each."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import ssl
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.hostile.kinds import KINDS
from tests.hostile.peer import Peer
from tests.program import DATA, ROOT, RT, peak_mib

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SIGNAL_S = 8.0
"""From the first signal to the end, with ``--drain-timeout 1``."""
MOST_LINES = 400
"""On stderr: a turn that failed has a line of its own, and so have the first fifty codes of warnings."""
MOST_MIB = 250.0
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u202e]")


class HostileEndpoint:
    """An endpoint of a kind.

    Args:
        kind: One of :data:`KINDS`.
        seed: Of its variant.
    """

    def __init__(self, kind: str, seed: int) -> None:
        self.connections = 0
        self.url = ""
        self._kind = kind
        self._seed = seed
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[HostileEndpoint]:
        """Listen during the block."""
        tls = None
        if self._kind == "half-open TLS" and self._seed % 3 == 0:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(DATA / "localhost.pem")
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=tls)
        port = server.sockets[0].getsockname()[1]
        self.url = f"{'wss' if self._kind == 'half-open TLS' else 'ws'}://localhost:{port}/v1/realtime"
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._serve(Peer(reader, writer, random.Random(f"{self._kind} {self._seed}"))))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, peer: Peer) -> None:
        try:
            with suppress(OSError, EOFError, asyncio.LimitOverrunError):
                await KINDS[self._kind](peer)
        finally:
            peer.reset()


@dataclass
class Attack:
    """A run of ``rt send`` against a hostile endpoint."""

    kind: str
    seed: int
    arguments: list[str]
    exit: int | None = None
    """None if it had to be killed."""
    took_s: float = 0.0
    signalled: bool = False
    signal_s: float = 0.0
    """From the signal to the end."""
    peak_mib: float = 0.0
    connections: int = 0
    out: str = ""
    err: str = ""
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def faults(self) -> list[str]:
        """What must not be."""
        ledger = self.summary.get("ledger", {})
        captured = ledger.get("captured", 0)
        parts = sum(ledger.get(part, 0) for part in ("settled", "acknowledged", "in_flight", "waiting", "dropped"))
        hang = self.exit is None or (self.signalled and self.signal_s > SIGNAL_S)
        found = {
            "hang": hang,
            "crash": self.exit == 1 or "Traceback" in self.err or "please report" in self.err,
            "no summary": not hang and self.exit != 2 and not self.summary,
            "unbalanced": captured != parts,
            "incomplete, exit 0": self.exit == 0 and not self.summary.get("complete"),
            "raw text": _CONTROLS.search(self.err + self.out) is not None,
            "lines": len(self.err.splitlines()) > MOST_LINES,
            "memory": self.peak_mib > MOST_MIB,
        }
        return [name for name, is_so in found.items() if is_so]


async def attack(kind: str, seed: int, sound: Path, *, patience_s: float = 20.0) -> Attack:
    """Run ``rt send`` against an endpoint, with options drawn from the seed.

    Args:
        kind: One of :data:`KINDS`.
        seed: Of variant and options.
        sound: WAV.
        patience_s: Seconds until a signal ends the run.
    """
    chance = random.Random(f"options {kind} {seed}")
    async with HostileEndpoint(kind, seed).serving() as endpoint:
        arguments = [
            *("send", "--url", endpoint.url, "-m", "gpt-4o-transcribe", "--json", "--drain-timeout", "1"),
            *("--speed", chance.choice(("1", "max")), "--retry-for", "6", "--connect-timeout", "4"),
            *("--turn-detection", chance.choice(("server_vad", "client", "none"))),
            *(["--partials"] if chance.random() < 0.5 else []),
        ]
        result = Attack(kind, seed, arguments)
        process = await asyncio.create_subprocess_exec(
            *(*RT, *arguments, str(sound)),
            cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "SSL_CERT_FILE": str(DATA / "localhost.pem")},
        )
        output = asyncio.create_task(process.communicate())
        loop = asyncio.get_running_loop()
        began = loop.time()
        watch = asyncio.create_task(_watch(process.pid, result))
        await asyncio.wait((output,), timeout=patience_s)
        if not output.done():
            result.signalled = True
            signalled = loop.time()
            process.send_signal(chance.choice((signal.SIGINT, signal.SIGTERM)))
            await asyncio.wait((output,), timeout=4 * SIGNAL_S)
            result.signal_s = loop.time() - signalled
        result.took_s = loop.time() - began
        result.exit = process.returncode if output.done() else None
        if not output.done():
            process.kill()
        watch.cancel()
        out, err = await output
        result.connections = endpoint.connections
    result.out, result.err = out.decode(errors="replace"), err.decode(errors="replace")
    with suppress(ValueError, IndexError):
        last = json.loads(result.out.splitlines()[-1])
        result.summary = last if last["type"] == "summary" else {}
    return result


async def _watch(pid: int, result: Attack) -> None:
    """Note the largest memory of a process (Linux)."""
    while sys.platform.startswith("linux"):
        with suppress(OSError):
            result.peak_mib = max(result.peak_mib, peak_mib(pid))
        await asyncio.sleep(0.2)
