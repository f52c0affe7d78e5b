"""Measure the latency of the embedded endpoint, and its number of sessions.

``python tests/bench/endpoint.py latency [--reply echo voice] [--turns 20] [--silence-ms 500]``
``python tests/bench/endpoint.py sessions [--workers 1 2] [--sessions 1 2 4 6 8] [--turns 5]``
``python tests/bench/endpoint.py acknowledged [--sessions 8 16 32] [--seconds 10]``

Recordings of people are spoken at the speed of speech, 20 ms a message, each sent when its last sample would have been
captured. The server is a process of its own; CPU time is told of it and its children, and of who speaks.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from websockets.asyncio.client import ClientConnection, connect

from tests.bench.measure import ROOT, environment, rt_command, table
from tests.server.client import recording

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RATE_HZ = 24_000
CLIPS = ("sense_0870", "sense_0930")
GAP_S = 1.5
CHUNK_S = 0.02
COARSE_S = 0.1
"""Length of a message when only the number of sessions is measured: the clients share the machine."""
WITHIN_S = 1.0
STAGES = ("stopped", "completed", "reply")
_WAIT_S = 15
"""Wait after the last sound. Missing answers do not count: the next turn may interrupt a reply before its start."""
_QUIET = 0.03
"""Level of silence, relative to the loudest 10 ms of a recording."""
_TRANSCRIBED = "conversation.item.input_audio_transcription."


def spoken(name: str) -> bytes:
    """Return a recording up to its last sound, s16le."""
    samples = np.frombuffer(recording(name, RATE_HZ), "<i2").astype(np.float64)
    step = RATE_HZ // 100
    rms = np.sqrt(np.square(samples[: len(samples) // step * step].reshape(-1, step)).mean(axis=1))
    end = int(np.flatnonzero(rms > _QUIET * rms.max())[-1] + 1) * step
    return bytes(samples[:end].astype("<i2").tobytes())


@dataclass
class Talk:
    """The turns of one client, and the times of the answers (seconds after the end of the turn)."""

    clips: Sequence[bytes]
    turns: int
    chunk_s: float = CHUNK_S
    began: float = 0.0
    ends: list[float] = field(default_factory=list)
    """End of each turn, in seconds of audio."""
    after: dict[str, dict[int, float]] = field(default_factory=lambda: {stage: {} for stage in STAGES})
    rule: dict[int, float] = field(default_factory=dict)
    """Seconds of audio from the end of the turn to its detected end, after the silence that ends a turn."""
    _turn_of: dict[str, int] = field(default_factory=dict)
    _answered: int | None = None

    def pcm(self) -> bytes:
        """All of it: turns, and a gap behind each."""
        pcm = bytearray()
        for number in range(self.turns):
            pcm += self.clips[number % len(self.clips)]
            self.ends.append(len(pcm) / 2 / RATE_HZ)
            pcm += bytes(int(GAP_S * RATE_HZ) * 2)
        return bytes(pcm)

    def hear(self, event: dict[str, Any], now: float) -> None:
        """Record the time of an event."""
        match event["type"]:
            case "input_audio_buffer.speech_stopped":
                # A pause may have cut a recording in two: the turn whose end has been reached counts, once.
                reached = [turn for turn, end in enumerate(self.ends) if end * 1000 <= event["audio_end_ms"]]
                if reached and reached[-1] not in self.after["stopped"]:
                    self._turn_of[event["item_id"]] = self._answered = reached[-1]
                    self.rule[reached[-1]] = event["audio_end_ms"] / 1000 - self.ends[reached[-1]]
                    self._note("stopped", reached[-1], now)
            case "conversation.item.input_audio_transcription.completed":
                if event["item_id"] in self._turn_of:
                    self._note("completed", self._turn_of[event["item_id"]], now)
            case "response.output_audio.delta":
                if self._answered is not None:
                    self._note("reply", self._answered, now)
                    self._answered = None
            case "conversation.item.input_audio_transcription.failed" | "error":
                sys.exit(f"the endpoint says: {event['error']['message']}")

    def _note(self, stage: str, turn: int, now: float) -> None:
        self.after[stage][turn] = now - self.began - self.ends[turn]

    def all_there(self) -> bool:
        """Return whether every turn has every answer."""
        return all(len(after) == self.turns for after in self.after.values())


@contextmanager
def server(*options: str) -> Iterator[tuple[str, int]]:
    """Run an endpoint: URL and process id."""
    command = rt_command("serve", "--port", "0", "--max-sessions", "1000", *options)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(), cwd=ROOT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), process.pid
        finally:
            process.terminate()


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process and its children so far (Linux)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return 0.0
    own = sum(int(value) for value in fields[11:15]) / os.sysconf("SC_CLK_TCK")
    return own + sum(cpu_s(int(child)) for child in children)


async def tell(socket: ClientConnection, type_: str, **fields: Any) -> None:
    """Send an event."""
    await socket.send(json.dumps({"type": type_, **fields}))


def messages(pcm: bytes, chunk_s: float) -> list[str]:
    """Return the append messages."""
    step = round(chunk_s * RATE_HZ) * 2
    pieces = [base64.b64encode(pcm[at : at + step]).decode() for at in range(0, len(pcm), step)]
    return [f'{{"type":"input_audio_buffer.append","audio":"{piece}"}}' for piece in pieces]


async def speak(socket: ClientConnection, appends: Sequence[str], chunk_s: float, began: float) -> None:
    """Send each message when its last sample is due."""
    loop = asyncio.get_running_loop()
    for number, append in enumerate(appends, start=1):
        await asyncio.sleep(began + number * chunk_s - loop.time())
        await socket.send(append)


async def talk(url: str, talk: Talk, silence_ms: int, delay_s: float) -> None:
    """Run one session up to the last answer."""
    detection = {"type": "server_vad", "silence_duration_ms": silence_ms}
    appends = messages(talk.pcm(), talk.chunk_s)
    loop = asyncio.get_running_loop()
    async with connect(url + "?model=any", compression=None, max_size=None) as socket:
        audio = {"input": {"turn_detection": detection, "transcription": {"model": "any"}}}
        await tell(socket, "session.update", session={"type": "realtime", "audio": audio})
        await asyncio.sleep(delay_s)
        talk.began = loop.time()
        speaking = asyncio.create_task(speak(socket, appends, talk.chunk_s, talk.began))
        with suppress(TimeoutError):
            async with asyncio.timeout(len(appends) * talk.chunk_s + _WAIT_S):
                while not talk.all_there():
                    talk.hear(json.loads(await socket.recv()), loop.time())
        await speaking


async def talks(url: str, sessions: int, turns: int, silence_ms: int, chunk_s: float) -> list[Talk]:
    """Run parallel sessions, spread over one turn. The first turns, in which decoders load, do not count."""
    clips = [spoken(name) for name in CLIPS]
    each = [Talk(clips, turns + 1, chunk_s) for _ in range(sessions)]
    longest = max(map(len, clips)) / 2 / RATE_HZ + GAP_S
    spread = [number * longest / sessions for number in range(sessions)]
    await asyncio.gather(*(talk(url, one, silence_ms, late) for one, late in zip(each, spread, strict=True)))
    return each


def latencies(each: Sequence[Talk], stage: str) -> list[float]:
    """Return latencies in ms, without the first turns."""
    return [1000 * after for one in each for turn, after in one.after[stage].items() if turn]


def works(each: Sequence[Talk], stage: str) -> list[float]:
    """Return latencies without the silence that ends a turn."""
    return [1000 * (after - one.rule[turn]) for one in each for turn, after in one.after[stage].items() if turn]


def p95(values: Sequence[float]) -> float:
    """Return the interpolated 95th percentile."""
    return statistics.quantiles(values, n=20, method="inclusive")[-1]


def measured(url: str, pid: int, sessions: int, options: argparse.Namespace, chunk_s: float) -> tuple[list[Talk], str]:
    """Run talks; return them, and the CPU cores of server and clients."""
    before = cpu_s(pid), time.process_time(), time.monotonic()
    each = asyncio.run(talks(url, sessions, options.turns, options.silence_ms, chunk_s))
    wall_s = time.monotonic() - before[2]
    return each, f"{(cpu_s(pid) - before[0]) / wall_s:.2f} + {(time.process_time() - before[1]) / wall_s:.2f}"


def latency(options: argparse.Namespace) -> None:
    """Measure one session, every stage."""
    rows = []
    for reply in options.reply:
        with server("--reply", reply) as (url, pid):
            each, cores = measured(url, pid, 1, options, CHUNK_S)
        for stage in STAGES:
            found, rest = latencies(each, stage), works(each, stage)
            figures = [f"{figure(values):.0f}" for values in (found, rest) for figure in (statistics.median, p95)]
            rows.append((reply, stage, f"{len(found)} of {options.turns}", *figures, cores))
    less = ("less silence: p50 ms", "p95 ms")
    table(("reply", "end of speech to", "turns", "p50 ms", "p95 ms", *less, "cores: server + us"), rows)


def sessions(options: argparse.Namespace) -> None:
    """Measure several sessions."""
    rows = []
    for workers in options.workers:
        for count in options.sessions:
            with server("--reply", "echo", "--workers", str(workers)) as (url, pid):
                each, cores = measured(url, pid, count, options, COARSE_S)
            found = {stage: works(each, stage) for stage in STAGES}
            figures = (f"{statistics.median(found[stage]):.0f} / {p95(found[stage]):.0f}" for stage in STAGES)
            rows.append((workers, count, f"{len(found['completed'])} of {count * options.turns}", *figures, cores))
            print(*rows[-1], file=sys.stderr)
    stages = (f"{stage} less silence, p50 / p95 ms" for stage in STAGES)
    table(("workers", "sessions", "turns", *stages, "cores: server + us"), rows)


async def acknowledge(url: str, count: int, seconds: float) -> list[float]:
    """Return the seconds from ping to pong of pings behind audio, in sessions that send all the time."""
    clip = spoken(CLIPS[0]) + bytes(int(GAP_S * RATE_HZ) * 2)
    appends = messages(clip * (int(seconds / (len(clip) / 2 / RATE_HZ)) + 1), COARSE_S)[: round(seconds / COARSE_S)]
    loop, waits = asyncio.get_running_loop(), []

    async def ping(socket: ClientConnection, until: float) -> None:
        while loop.time() < until:
            sent = loop.time()
            await (await socket.ping())
            waits.append(loop.time() - sent)
            await asyncio.sleep(max(0.0, sent + 0.5 - loop.time()))

    async def drain(socket: ClientConnection) -> None:
        async for _ in socket:
            pass

    async def one(delay_s: float) -> None:
        async with connect(url + "?model=any", compression=None, max_size=None, max_queue=None) as socket:
            draining = asyncio.create_task(drain(socket))
            await asyncio.sleep(delay_s)
            began = loop.time()
            async with asyncio.timeout(seconds + _WAIT_S):
                await asyncio.gather(speak(socket, appends, COARSE_S, began), ping(socket, began + seconds))
        await draining

    await asyncio.gather(*(one(2 * number / count) for number in range(count)))
    return waits


def acknowledged(options: argparse.Namespace) -> None:
    """Measure sessions without recognition."""
    rows = []
    for count in options.sessions:
        with server("--recognizer", "none", "--reply", options.reply) as (url, pid):
            before = cpu_s(pid), time.process_time(), time.monotonic()
            waits = [1000 * wait for wait in asyncio.run(acknowledge(url, count, options.seconds))]
            wall_s = time.monotonic() - before[2]
            cores = f"{(cpu_s(pid) - before[0]) / wall_s:.2f} + {(time.process_time() - before[1]) / wall_s:.2f}"
        kept = "yes" if max(waits) < 1000 * WITHIN_S else "no"
        figures = (f"{figure:.0f}" for figure in (statistics.median(waits), p95(waits), max(waits)))
        rows.append((count, len(waits), *figures, kept, cores))
        print(*rows[-1], file=sys.stderr)
    table(("sessions", "pings", "p50 ms", "p95 ms", "max ms", "all within 1 s", "cores: server + us"), rows)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_subparsers(required=True)
    for function in (latency, sessions, acknowledged):
        command = what.add_parser(function.__name__)
        command.set_defaults(function=function)
        if function is not acknowledged:
            command.add_argument("--silence-ms", type=int, default=500)
            command.add_argument("--turns", type=int, default=20 if function is latency else 5)
        if function is not latency:
            command.add_argument("--sessions", type=int, nargs="+", default=[1, 2, 4, 6, 8])
    what.choices["latency"].add_argument("--reply", nargs="+", default=["echo", "voice"])
    what.choices["sessions"].add_argument("--workers", type=int, nargs="+", default=[1, 2])
    what.choices["acknowledged"].add_argument("--seconds", type=float, default=10)
    what.choices["acknowledged"].add_argument("--reply", default="none")
    options = parser.parse_args()
    options.function(options)


if __name__ == "__main__":
    main()
