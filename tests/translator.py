"""A translation endpoint that hears exact sound (see :mod:`tests.exact`): its words spell every sample it was given.

Each stretch of speech is two words, and one sentence. The translation of ``0-99`` is ``es:0-99``.
"""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.exact import RATE, Call, read_back

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

_MS = RATE // 1000
_FRAME_MS = 200
_NEVER = 10**9
_GAP = 100 * _MS
"""Samples of silence that end a stretch of speech."""


@dataclass(frozen=True, slots=True)
class Translator:
    """How the endpoint behaves."""

    lag_ms: int = 200
    """From the end of a word to its transcript, in sound."""
    behind_ms: int = 600
    """From there to its translation."""
    sentences: bool = True
    """Whether a sentence ends with a full stop."""
    elapsed: bool = True
    """Whether events say after which sound they come."""
    writes: bool = True
    """Whether what is said is written down, too."""
    translates: bool = True
    """Whether it is translated."""
    sound: bool = True
    """Whether sound comes back."""
    end: Literal["closed", "cut", "silence", "late"] = "closed"
    """What answers ``session.close``; ``late``: first three seconds of sound, then the last words."""
    ends: int = 10**9
    """Number of connections that end so; later ones are closed as they should be."""
    expires_ms: int | None = None
    """Sound after which the endpoint ends a session by itself."""
    refusal: str | None = None
    """Code of an error in place of ``session.updated``."""


@dataclass
class _Hearing:
    """What one connection has heard."""

    samples: np.ndarray[Any, np.dtype[np.int16]] = field(default_factory=lambda: np.zeros(0, np.int16))
    scanned: int = 0
    words: list[tuple[str, int]] = field(default_factory=list)
    """Each with its end in samples."""
    said: int = 0
    translated: int = 0

    def hear(self, pcm: bytes) -> None:
        """Take sound."""
        self.samples = np.concatenate((self.samples, np.frombuffer(pcm, "<i2")))
        self.scan()

    def scan(self, *, everything: bool = False) -> None:
        """Find the words in stretches of speech that have ended."""
        while True:
            rest = self.samples[self.scanned :]
            spoken = np.flatnonzero(rest)
            if not spoken.size:
                return
            quiet = np.flatnonzero(np.diff(spoken) > _GAP)
            ended = quiet.size or rest.size - spoken[-1] > _GAP or everything
            if not ended:
                return
            last = int(spoken[quiet[0]] if quiet.size else spoken[-1]) + 1
            run = rest[int(spoken[0]) : last]
            run = run[: run.size // 2 * 2]
            half = run.size // 4 * 2
            for part, end in ((run[:half], int(spoken[0]) + half), (run[half:], last)):
                if part.size:
                    self.words.append((read_back(part), self.scanned + end))
            self.scanned += last


class ExactTranslator:
    """Serves translations of exact sound."""

    def __init__(self, habits: Translator | None = None) -> None:
        self.calls: list[Call] = []
        self.updates: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.kinds: set[str] = set()
        """Types of the client's events."""
        self.url = ""
        self.port = 0
        self._habits = habits or Translator()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ExactTranslator]:
        """Listen during the block."""
        async with serve(
            self._call, "127.0.0.1", 0, compression=None, max_size=None, close_timeout=0.2, ping_interval=None
        ) as server:
            self.port = server.sockets[0].getsockname()[1]
            self.url = f"ws://127.0.0.1:{self.port}/v1"
            yield self

    async def _call(self, connection: ServerConnection) -> None:
        call = Call(len(self.calls) + 1)
        self.calls.append(call)
        assert connection.request is not None
        self.paths.append(connection.request.path)
        with suppress(ConnectionClosed):
            await self._serve(connection, call)

    async def _serve(self, connection: ServerConnection, call: Call) -> None:
        habits, hearing = self._habits, _Hearing()

        async def say(kind: str, **fields: object) -> None:
            await connection.send(json.dumps({"type": kind, "event_id": "event", **fields}))

        await say("session.created", session={"id": f"sess_{call.number}", "type": "translation"})
        async for message in connection:
            event = json.loads(message)
            self.kinds.add(event["type"])
            match event["type"]:
                case "session.update":
                    self.updates.append(event)
                    if habits.refusal is not None:
                        await say("error", error={"type": "x", "code": habits.refusal, "message": "as planned"})
                        await connection.close(1008)
                        return
                    await say("session.updated", session=event["session"])
                case "session.input_audio_buffer.append":
                    pcm = base64.b64decode(event["audio"])
                    call.audio.append(pcm)
                    hearing.hear(pcm)
                    await self._tell(hearing, hearing.samples.size // _MS, say)
                    await self._sound(hearing, event["audio"], say)
                    if habits.expires_ms is not None and hearing.samples.size >= habits.expires_ms * _MS:
                        await say("session.closed")
                        await connection.close(1000)
                        return
                case "session.close":
                    if call.number <= habits.ends and habits.end in {"cut", "silence"}:
                        if habits.end == "cut":
                            connection.transport.abort()
                            return
                        continue
                    await self._interpret(say)
                    hearing.scan(everything=True)
                    await self._tell(hearing, _NEVER, say)
                    await say("session.closed")
                    await connection.close(1000)
                    return

    async def _interpret(self, say: Any) -> None:
        for _ in range(15 if self._habits.end == "late" else 0):
            await say("session.output_audio.delta", delta="AAA=")
            await asyncio.sleep(0.2)

    async def _sound(self, hearing: _Hearing, audio: str, say: Any) -> None:
        at = {"elapsed_ms": hearing.samples.size // _MS} if self._habits.elapsed else {}
        if self._habits.sound:
            await say("session.output_audio.delta", delta=audio, **at)

    async def _tell(self, hearing: _Hearing, now_ms: int, say: Any) -> None:
        """Send the words that are due, in the order in which they are."""
        habits = self._habits
        while True:
            said = self._due(hearing, hearing.said, habits.lag_ms)
            translated = self._due(hearing, hearing.translated, habits.lag_ms + habits.behind_ms)
            due = min(said, translated)
            if due >= min(now_ms + 1, _NEVER):
                return
            first = said <= translated
            number = hearing.said if first else hearing.translated
            hearing.said, hearing.translated = hearing.said + first, hearing.translated + (not first)
            text = hearing.words[number][0] + ("." if habits.sentences and number % 2 else "")
            at = {"elapsed_ms": min(due - due % -_FRAME_MS, hearing.samples.size // _MS)} if habits.elapsed else {}
            if first and habits.writes:
                await say("session.input_transcript.delta", delta=f" {text}", **at)
            if not first and habits.translates:
                await say("session.output_transcript.delta", delta=f" es:{text}", **at)

    @staticmethod
    def _due(hearing: _Hearing, number: int, lag_ms: int) -> int:
        return hearing.words[number][1] // _MS + lag_ms if number < len(hearing.words) else _NEVER


def ranges(texts: Iterable[str]) -> list[str]:
    """Return texts of either language as ranges of numbers, for :func:`tests.exact.judge`."""
    return [text.replace("es:", "").replace(".", "") for text in texts]
