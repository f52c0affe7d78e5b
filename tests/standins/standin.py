"""A server that hears exact sound (``tests/exact.py``) and answers as a script says; its faults are common to all.

A provider is a subclass of :class:`Script`: what it greets with, and what it answers to each message.
"""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.exact import read_back

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from numpy.typing import NDArray
    from websockets.http11 import Request, Response

Message = dict[str, Any]
TRANSCRIPTION = "conversation.item.input_audio_transcription"


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What goes wrong, on the first connection alone where nothing else is said."""

    cut_after: int | None = None
    """Samples after which the connection is cut."""
    cuts: tuple[int, ...] = ()
    """The same for one connection after the other."""
    stall_after: int | None = None
    """Samples after which the server reads nothing for :attr:`stall_s`."""
    stall_s: float = 3.6
    lifetime_s: float | None = None
    """Every session ends after so many seconds, with close 1001."""


@dataclass
class Call:
    """One connection, as the server saw it."""

    path: str
    query: dict[str, list[str]]
    messages: list[Message] = field(default_factory=list)
    """Everything but audio."""
    heard: int = 0
    """Samples."""

    def sent(self, kind: str) -> list[Message]:
        """Return the messages of a type."""
        return [message for message in self.messages if message.get("type") == kind]


class Script:
    """The answers of a provider on one connection.

    Args:
        call: The connection.
    """

    rate_hz: ClassVar[int] = 24_000

    def __init__(self, call: Call) -> None:
        self.call = call
        self.audio = np.zeros(0, "<i2")
        """All samples of the connection."""
        self.done_to = 0
        """Everything before is in an item."""
        self.items = 0

    @classmethod
    def refuses(cls, call: Call) -> tuple[int, str] | None:
        """Return an HTTP status and a body that refuse the handshake."""
        del call
        return None

    def greeting(self) -> list[Message]:
        """Return what the server says first."""
        return [{"type": "session.created", "session": {"id": "sess_1"}}]

    @staticmethod
    def is_audio(message: Message) -> bool:
        """Return whether a message has sound."""
        return bool(message["type"] == "input_audio_buffer.append")

    def take(self, message: Message) -> list[Message]:
        """Answer a message."""
        match message:
            case {"type": "session.update"}:
                return self.configure(message)
            case {"type": "input_audio_buffer.append", "audio": str(audio)}:
                samples = np.frombuffer(base64.b64decode(audio), "<i2")
                self.audio = np.concatenate((self.audio, samples))
                self.call.heard = self.audio.size
                return self.hear(samples)
            case {"type": "input_audio_buffer.commit"}:
                return self.commit(message)
        return self.other(message)

    def configure(self, message: Message) -> list[Message]:
        """Answer ``session.update``."""
        return [{"type": "session.updated", "session": message["session"]}]

    def hear(self, samples: NDArray[np.int16]) -> list[Message]:
        """Answer audio."""
        del samples
        return []

    def commit(self, message: Message) -> list[Message]:
        """Answer a commit."""
        raise NotImplementedError

    def other(self, message: Message) -> list[Message]:
        """Answer anything else."""
        return [error("unknown_event", f"no {message['type']}")]

    def words(self, end: int) -> str:
        """Return what was said up to a sample since the last item; that is an item now."""
        spoken = self.audio[self.done_to : end]
        self.done_to = end
        return read_back(spoken[spoken != 0])


class Hearing(Script):
    """Finds the turns of exact speech by its silence, as server VAD does."""

    silence_ms = 200

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.detects = True
        self._start: int | None = None
        self._searched = 0

    def hear(self, samples: NDArray[np.int16]) -> list[Message]:
        """Answer audio: speech and turns."""
        del samples
        answers: list[Message] = []
        while self.detects and (found := self._next()) is not None:
            answers += found
        return answers

    def _next(self) -> list[Message] | None:
        """Find the next start or end of a turn."""
        silence = self.silence_ms * self.rate_hz // 1000
        loud = np.flatnonzero(self.audio[self._searched :]) + self._searched
        if self._start is None:
            if not loud.size:
                self._searched = self.audio.size
                return None
            self._start = self._searched = int(loud[0])
            self.items += 1
            return self.started(self._start)
        gaps = np.flatnonzero(np.diff(loud) > silence)
        last = int(loud[gaps[0]] if gaps.size else loud[-1])
        if not gaps.size and self.audio.size - last - 1 < silence:
            return None
        self._start, self._searched = None, last + 1
        return self.ended(last + 1 + silence)

    @property
    def item(self) -> str:
        """The id of the present item."""
        return f"item_{self.items}"

    def started(self, at: int) -> list[Message]:
        """Return what is said of speech that begins at a sample."""
        return [
            {"type": "input_audio_buffer.speech_started", "item_id": self.item, "audio_start_ms": self.ms(at)},
        ]

    def ended(self, at: int) -> list[Message]:
        """Return what is said of a turn that ends at a sample: its end, its commit, its words."""
        raise NotImplementedError

    def ms(self, samples: int) -> int:
        """Samples as milliseconds."""
        return samples * 1000 // self.rate_hz


def error(code: str, message: str, **fields: Any) -> Message:
    """An ``error`` event."""
    return {"type": "error", "error": {"type": "invalid_request_error", "code": code, "message": message, **fields}}


class StandIn:
    """Listens, and lets a script answer each connection.

    Args:
        script: Of the provider.
        faults: What goes wrong.
    """

    def __init__(self, script: type[Script], faults: Faults | None = None) -> None:
        self.url = ""
        self.calls: list[Call] = []
        self._script = script
        self._faults = faults or Faults()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[StandIn]:
        """Listen during the block."""
        options: Any = {"compression": None, "max_size": None, "close_timeout": 0.2, "ping_interval": None}
        async with serve(self._call, "127.0.0.1", 0, process_request=self._admit, **options) as server:
            self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield self

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        parts = urlsplit(request.path)
        call = Call(parts.path, parse_qs(parts.query))
        if (refusal := self._script.refuses(call)) is None:
            return None
        self.calls.append(call)
        return connection.respond(HTTPStatus(refusal[0]), refusal[1])

    async def _call(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        parts = urlsplit(connection.request.path)
        call = Call(parts.path, parse_qs(parts.query))
        self.calls.append(call)
        try:
            async with asyncio.timeout(self._faults.lifetime_s):
                await self._converse(connection, call, len(self.calls) - 1)
        except TimeoutError:
            await connection.close(1001, "session expired")
        except ConnectionClosed:
            pass

    async def _converse(self, connection: ServerConnection, call: Call, number: int) -> None:
        script, faults = self._script(call), self._faults
        stall_after = faults.stall_after if number == 0 else None
        cuts = faults.cuts or (() if faults.cut_after is None else (faults.cut_after,))
        cut_after = cuts[number] if number < len(cuts) else None
        for message in script.greeting():
            await self._say(connection, message)
        async for text in connection:
            message = json.loads(text)
            if not script.is_audio(message):
                call.messages.append(message)
            for answer in script.take(message):
                await self._say(connection, answer)
            if cut_after is not None and call.heard > cut_after:
                connection.transport.abort()
            if stall_after is not None and call.heard > stall_after:
                stall_after = None
                connection.transport.pause_reading()  # type: ignore[attr-defined]
                await asyncio.sleep(faults.stall_s)
                connection.transport.resume_reading()  # type: ignore[attr-defined]

    @staticmethod
    async def _say(connection: ServerConnection, message: Message) -> None:
        if message.get("type") == "close":
            await connection.close(message["code"], message.get("reason", ""))
        else:
            await connection.send(json.dumps(message))
