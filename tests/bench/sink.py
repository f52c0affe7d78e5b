"""A fast endpoint for measurements, in a process of its own: takes audio, makes turns by the clock, counts.

``python tests/bench/sink.py`` prints its URL as the first line, then one JSON object for every connection that ended.
It reads only the headers of audio frames, so that what is measured is the client. For every line on its stdin it says
what it spent, and how late its loop woke, since the line before: whether it was the bottleneck is known. With
``?deltas=N`` in the URL it says so many times 100 ms of audio once the session is configured.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import resource
import ssl
import struct
import sys
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.http11 import Request
from websockets.server import ServerProtocol

RATE_HZ = 24_000
_APPEND = b'input_audio_buffer.append"'
_PAD = ord("=")
_LOOK = 96
"""Bytes of a message that contain its type."""
_TICK_S = 0.02
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10
_ABOUT = "conversation.item.input_audio_transcription"
_DELTA = {
    "type": "response.output_audio.delta",
    "event_id": "event_1",
    "response_id": "resp_1",
    "item_id": "item_1",
    "output_index": 0,
    "content_index": 0,
    "delta": base64.b64encode(bytes(i * 37 // 8 % 251 for i in range(4800))).decode(),
}


@dataclass
class Report:
    """The results of one connection."""

    messages: int = 0
    samples: int = 0
    turns: int = 0
    commits: int = 0
    first_at: float = 0.0
    ten_s_at: float = 0.0
    last_at: float = 0.0
    """Monotonic seconds: the first audio, ten seconds of it, the last."""
    cpu_s: float = 0.0
    """Of this process, so far."""
    stamps: list[tuple[float, int]] = field(default_factory=list)
    """When (monotonic seconds) how many samples were there, for every message of audio; if asked for."""


def unmasked(payload: bytes | bytearray, mask: bytes | bytearray) -> bytes:
    """Undo the client's mask (RFC 6455 section 5.3)."""
    length = len(payload)
    key = (mask * (length // 4 + 1))[:length]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(length, "big")


def frame(opcode: int, payload: bytes) -> bytes:
    """An unmasked frame, as servers send them."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", 0x80 | opcode, size) + payload
    return struct.pack("!BBH", 0x80 | opcode, 126, size) + payload


class Turns:
    """Decides the events of the endpoint, from the amount of audio. Pure."""

    def __init__(self, turn_s: float) -> None:
        self.items = 0
        self._turn = round(turn_s * RATE_HZ)
        self._open: str | None = None
        self._committed = 0
        self.next_at = RATE_HZ
        """Samples at which the next event is due."""

    def heard(self, samples: int) -> list[dict[str, Any]]:
        """Return the events due at this number of samples: each turn starts and ends one second inside its range."""
        events: list[dict[str, Any]] = []
        while True:
            start = self.items * self._turn if self._open is None else (self.items - 1) * self._turn
            at = start + (RATE_HZ if self._open is None else self._turn - RATE_HZ)
            if samples < at:
                self.next_at = at
                return events
            if self._open is None:
                self._open = self._next_id()
                events += [self._started(at), self._delta(self._open, "twenty")]
            else:
                events += [self._stopped(at), *self._transcribed(self._open, "twenty seconds of words")]
                self._open = None

    def commit(self, samples: int, event_id: str | None) -> list[dict[str, Any]]:
        """Commit the turn on request of the client."""
        if samples == self._committed:
            error = {"type": "invalid_request_error", "code": "input_audio_buffer_commit_empty", "event_id": event_id}
            return [{"type": "error", "error": {**error, "message": "nothing to commit"}}]
        self._committed = samples
        item, self._open = self._open or self._next_id(), None
        return self._transcribed(item, "words")

    def _next_id(self) -> str:
        self.items += 1
        return f"item_{self.items}"

    def _started(self, at: int) -> dict[str, Any]:
        ms = at * 1000 // RATE_HZ
        return {"type": "input_audio_buffer.speech_started", "item_id": self._open, "audio_start_ms": ms}

    def _stopped(self, at: int) -> dict[str, Any]:
        ms = at * 1000 // RATE_HZ
        return {"type": "input_audio_buffer.speech_stopped", "item_id": self._open, "audio_end_ms": ms}

    def _delta(self, item: str, text: str) -> dict[str, Any]:
        return {"type": f"{_ABOUT}.delta", "item_id": item, "content_index": 0, "delta": text}

    def _transcribed(self, item: str, text: str) -> list[dict[str, Any]]:
        return [
            {"type": "input_audio_buffer.committed", "item_id": item, "previous_item_id": None},
            {"type": f"{_ABOUT}.completed", "item_id": item, "content_index": 0, "transcript": text},
        ]


class Sink(asyncio.Protocol):
    """One connection: the handshake by ``websockets``, then frames by hand."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._handshake: ServerProtocol | None = ServerProtocol()
        self._received = bytearray()
        self._turns = Turns(options.turn_s)
        self._server_vad = True
        self._report = Report()
        self._deltas = 0
        self._audio_size = -1
        self._audio_samples = (0, 0, 0)
        """Size of the last message of audio, and its samples by the number of ``=`` at its end."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport of a new client."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Handle the handshake, then frames."""
        if self._handshake is not None:
            self._shake_hands(self._handshake, data)
            return
        self._received += data
        self._read_at = time.monotonic()
        self._read_frames()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Print the report."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self._report.cpu_s = usage.ru_utime + usage.ru_stime
        print(json.dumps(vars(self._report)), flush=True)

    def _shake_hands(self, handshake: ServerProtocol, data: bytes) -> None:
        handshake.receive_data(data)
        for event in handshake.events_received():
            if isinstance(event, Request):
                handshake.send_response(handshake.accept(event))
                for part in handshake.data_to_send():
                    self._transport.write(part)
                self._handshake = None
                self._deltas = int(parse_qs(urlsplit(event.path).query).get("deltas", ["0"])[0])
                self._say([{"type": "session.created", "session": {"id": "sess_sink"}}])

    def _read_frames(self) -> None:
        received, at = self._received, 0
        while len(received) - at >= 6:
            size, start = received[at + 1] & 0x7F, at + 2
            if size == 126:
                size, start = int.from_bytes(received[start : start + 2], "big"), start + 2
            elif size == 127:
                size, start = int.from_bytes(received[start : start + 8], "big"), start + 8
            end = start + 4 + size
            if end > len(received):
                break
            if size == self._audio_size:
                self._count_audio(self._padding(end, size, start))
                at = end
                continue
            self._take(received[at] & 0x0F, received[start : start + 4], start + 4, end)
            at = end
        del received[:at]

    def _take(self, opcode: int, mask: bytearray, start: int, end: int) -> None:
        if opcode == _TEXT:
            head = unmasked(self._received[start : min(end, start + _LOOK)], mask)
            if _APPEND in head:
                self._take_audio(head, start, end)
            else:
                self._take_event(json.loads(unmasked(self._received[start:end], mask)))
        elif opcode == _PING:
            self._transport.write(frame(_PONG, unmasked(self._received[start:end], mask)))
        elif opcode == _CLOSE:
            self._transport.write(frame(_CLOSE, unmasked(self._received[start:end], mask)))
            self._transport.close()

    def _take_audio(self, head: bytes, start: int, end: int) -> None:
        encoded = end - start - 2 - (head.index(b'"', head.index(b'"audio":') + 8) + 1)
        most = encoded // 4 * 3
        self._audio_size, self._audio_samples = end - start, (most // 2, (most - 1) // 2, (most - 2) // 2)
        self._count_audio(self._padding(end, end - start, start - 4))

    def _padding(self, end: int, size: int, mask_at: int) -> int:
        """Return the number of ``=`` before the quote and the brace that end a message."""
        received = self._received
        if received[end - 3] ^ received[mask_at + (size - 3) % 4] != _PAD:
            return 0
        return 1 + (received[end - 4] ^ received[mask_at + (size - 4) % 4] == _PAD)

    def _count_audio(self, padding: int) -> None:
        report = self._report
        report.samples += self._audio_samples[padding]
        report.messages += 1
        report.last_at = self._read_at
        if report.messages == 1:
            report.first_at = report.last_at
        if not report.ten_s_at and report.samples >= 10 * RATE_HZ:
            report.ten_s_at = report.last_at
        if self._options.stamps:
            report.stamps.append((report.last_at, report.samples))
        if self._server_vad and report.samples >= self._turns.next_at and (events := self._turns.heard(report.samples)):
            self._say(events)

    def _take_event(self, event: dict[str, Any]) -> None:
        if event["type"] == "session.update":
            audio = event["session"].get("audio", {}).get("input", {})
            self._server_vad = audio.get("turn_detection") is not None
            self._say([{"type": "session.updated", "session": event["session"]}])
            self._transport.writelines([frame(_TEXT, json.dumps(_DELTA).encode())] * self._deltas)
        elif event["type"] == "input_audio_buffer.commit":
            self._report.commits += 1
            self._say(self._turns.commit(self._report.samples, event.get("event_id")))

    def _say(self, events: list[dict[str, Any]]) -> None:
        self._report.turns = self._turns.items
        self._transport.write(b"".join(frame(_TEXT, json.dumps(event).encode()) for event in events))


class Watch:
    """How late the loop of this process wakes, and what it spends, from mark to mark."""

    def __init__(self) -> None:
        self._late: list[float] = []
        self._from = (time.monotonic(), time.process_time())
        self._tick(time.monotonic())

    def _tick(self, due: float) -> None:
        loop, now = asyncio.get_running_loop(), time.monotonic()
        self._late.append(now - due)
        following = max(due + _TICK_S, now)
        loop.call_at(loop.time() + following - now, self._tick, following)

    def mark(self) -> None:
        """Print the figures since the mark before."""
        sys.stdin.readline()
        now, late = (time.monotonic(), time.process_time()), sorted(self._late)
        figures = {
            "wall_s": now[0] - self._from[0],
            "cpu_s": now[1] - self._from[1],
            "late_p99_ms": late[len(late) * 99 // 100] * 1000,
            "late_max_ms": late[-1] * 1000,
        }
        print(json.dumps({"mark": figures}), flush=True)
        self._late, self._from = [0.0], now


async def serve(options: argparse.Namespace) -> None:
    """Serve on a free loopback port until cancelled."""
    loop, tls = asyncio.get_running_loop(), None
    if options.tls:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.tls)
    server = await loop.create_server(lambda: Sink(options), "127.0.0.1", 0, ssl=tls)
    async with server:
        scheme, port = "wss" if tls else "ws", server.sockets[0].getsockname()[1]
        print(f"{scheme}://127.0.0.1:{port}/v1/realtime", flush=True)
        loop.add_reader(0, Watch().mark)
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turn-s", type=float, default=20, help="seconds of audio in a turn")
    parser.add_argument("--tls", metavar="PEM", help="certificate and key: wss")
    parser.add_argument("--stamps", action="store_true", help="report when each message of audio came")
    try:
        asyncio.run(serve(parser.parse_args()))
    except KeyboardInterrupt:
        sys.exit(0)
