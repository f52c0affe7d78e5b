"""Sound that can be decoded exactly, and an endpoint that transcribes it: words can't prove that nothing was lost.

Every pair of samples of "speech" spells its own number, and no sample of it is zero; silence is zeros. The endpoint's
transcript of a turn is the ranges of numbers that it heard, as ``0-1199 1200-2399``, so the finals of a run show any
sample that is lost, doubled, garbled or out of order.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import threading
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.habits import Habits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from numpy.typing import NDArray
    from websockets.http11 import Request, Response

    from tests.habits import Event

RATE = 24_000
_MS = RATE // 1000
_BASE = 30_000
_MIN_COMMIT = RATE // 10
_FIRST_CLOSE_CODE = 1000


def speech(first: int, pairs: int) -> bytes:
    """Return pairs ``first`` to ``first + pairs``; four bytes each."""
    numbers = np.arange(first, first + pairs)
    samples = np.stack((1 + numbers // _BASE, 1 + numbers % _BASE), axis=1)
    return samples.astype("<i2").tobytes()


def turns(count: int, *, speech_ms: int = 600, silence_ms: int = 400, vary: int = 0) -> tuple[bytes, list[range]]:
    """Sound of so many turns, and the numbers that each of them spells.

    Args:
        count: Turns.
        speech_ms: Length of each.
        silence_ms: After each.
        vary: Milliseconds by which lengths differ.
    """
    parts, spans, first = [], [], 0
    for index in range(count):
        pairs = (speech_ms + (index * 37 % (vary + 1))) * _MS // 2
        parts += [speech(first, pairs), bytes((silence_ms + (index * 53 % (vary + 1))) * _MS * 2)]
        spans.append(range(first, first + pairs))
        first += pairs
    return b"".join(parts), spans


def read_back(samples: NDArray[np.int16]) -> str:
    """Return the ranges of numbers in samples without zeros; ``?`` for samples that spell no number."""
    if samples.size % 2:
        return "?"
    pairs = samples.reshape(-1, 2).astype(np.int64)
    if pairs.size and (pairs.min() < 1 or pairs[:, 1].max() > _BASE):
        return "?"
    numbers = (pairs[:, 0] - 1) * _BASE + pairs[:, 1] - 1
    breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
    return " ".join(f"{part[0]}-{part[-1]}" for part in np.split(numbers, breaks) if part.size)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of the sound after a run, in pairs of samples."""

    lost: int
    doubled: int
    out_of_order: int
    garbled: int

    @property
    def perfect(self) -> bool:
        """Whether every pair is there once, in order."""
        return not (self.lost or self.doubled or self.out_of_order or self.garbled)


def judge(transcripts: Iterable[str], spans: Iterable[range]) -> Verdict:
    """Compare the finals of a run with the sent sound."""
    words = " ".join(transcripts).split()
    garbled = sum(word == "?" for word in words)
    heard = [range(int(a), int(b) + 1) for a, b in (word.split("-") for word in words if word != "?")]
    total = sum(len(span) for span in spans)
    counts = np.zeros(max([total, *(each.stop for each in heard)]), dtype=np.int32)
    for each in heard:
        counts[each.start : each.stop] += 1
    disorder = sum(after.start < before.stop for before, after in itertools.pairwise(heard))
    return Verdict(int((counts[:total] == 0).sum()), int((counts > 1).sum()), disorder, garbled)


class ExactDetector:
    """Detects exact speech as the endpoint does: samples that are not zero.

    Args:
        rate_hz: Of the sound.
    """

    def __init__(self, rate_hz: int) -> None:
        self.frame_samples = rate_hz * 32 // 1000
        self._pending = np.zeros(0, dtype=np.int16)

    def push(self, pcm: bytes) -> list[float]:
        """Return the speech probability of each frame: 0 or 1."""
        samples = np.concatenate((self._pending, np.frombuffer(pcm, dtype="<i2")))
        whole = samples.size // self.frame_samples * self.frame_samples
        self._pending = samples[whole:]
        return [float(frame.any()) for frame in samples[:whole].reshape(-1, self.frame_samples)]


@dataclass
class Call:
    """One connection, from the endpoint's side."""

    number: int
    samples: int = 0
    items: list[str] = field(default_factory=list)
    audio: list[bytes] = field(default_factory=list)

    @property
    def heard(self) -> str:
        """Return the numbers of all received speech; one range, if it has no gap."""
        samples = np.frombuffer(b"".join(self.audio), dtype="<i2")
        spoken = samples[samples != 0]
        # A cut may split the last pair.
        return read_back(spoken[: spoken.size // 2 * 2])


def record_verdict(calls: Iterable[Call], spans: Iterable[range]) -> Verdict:
    """Judge the received sound of all connections: none has a gap, none starts after the end of the earlier ones."""
    upto = gaps = garbled = 0
    for heard in filter(None, (call.heard for call in calls)):
        if "?" in heard or " " in heard:
            garbled += 1
            continue
        first, last = map(int, heard.split("-"))
        gaps += max(0, first - upto)
        upto = max(upto, last + 1)
    total = sum(len(span) for span in spans)
    return Verdict(gaps + max(0, total - upto), 0, 0, garbled)


class ExactEndpoint:
    """Transcribes exact speech, with server VAD or client commits."""

    def __init__(self, habits: Habits | None = None) -> None:
        self.calls: list[Call] = []
        self.url = ""
        self.port = 0
        self.open = 0
        """Number of open sessions."""
        self.most_open = 0
        """Most sessions open at the same time, so far."""
        self._habits = habits or Habits()

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[ExactEndpoint]:
        """Listen during the block."""
        async with serve(
            self._call,
            "127.0.0.1",
            port,
            compression=None,
            max_size=None,
            close_timeout=0.2,
            ping_interval=None,
            process_request=self._admit,
        ) as server:
            self.port = server.sockets[0].getsockname()[1]
            self.url = f"ws://127.0.0.1:{self.port}/v1/realtime"
            yield self

    def _admit(self, connection: ServerConnection, _request: Request) -> Response | None:
        status = self._habits.refusal
        if status is None or status >= _FIRST_CLOSE_CODE or not self.open:
            return None
        return connection.respond(HTTPStatus(status), "one session at a time")

    async def _call(self, connection: ServerConnection) -> None:
        if self._habits.refusal is not None and self.open:
            await connection.close(self._habits.refusal, "one session at a time")
            return
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await self._converse(connection)
        finally:
            self.open -= 1

    async def _converse(self, connection: ServerConnection) -> None:
        call, habits = Call(len(self.calls) + 1), self._habits
        self.calls.append(call)
        try:
            async with asyncio.timeout(habits.lifetime_s):
                await _Conversation(connection, call, habits).hold()
        except TimeoutError:
            if habits.ending == "silent":
                connection.transport.abort()
                return
            if habits.ending == "error":
                error = {"type": "invalid_request_error", "code": "session_expired", "message": "the session expired"}
                with suppress(ConnectionClosed):
                    await connection.send(json.dumps({"type": "error", "error": error}))
            await connection.close(habits.closing, "session expired")


class _Conversation:
    def __init__(self, connection: ServerConnection, call: Call, habits: Habits) -> None:
        self._connection = connection
        self._call = call
        self._habits = habits
        self._says = habits.says()
        self._out: asyncio.Queue[Event] = asyncio.Queue()
        self._numbers = itertools.count(1)
        self._silence: int | None = None
        self._buffer: list[NDArray[np.int16]] = []
        self._buffered = 0
        self._start: int | None = None
        self._quiet = 0
        self._heard_upto = 0
        self._committed_upto = 0
        self._began = time.time()
        self._item = ""
        self._previous: str | None = None

    async def hold(self) -> None:
        """Greet, then receive and answer until the client disconnects."""
        lifetime_s = (self._habits.announced and self._habits.lifetime_s) or 3600
        self._say("session.created", session={"expires_at": time.time() + lifetime_s})
        try:
            async with asyncio.TaskGroup() as tasks:
                delivery = tasks.create_task(self._deliver())
                async for message in self._connection:
                    self._take(json.loads(message))
                delivery.cancel()
        except* ConnectionClosed:
            pass

    async def _deliver(self) -> None:
        """Send the events in order, finals after their delay."""
        while True:
            for event in self._says(await self._out.get()):
                if event["type"].endswith("completed") and self._habits.final_delay_s:
                    await asyncio.sleep(self._habits.final_delay_s)
                await self._connection.send(json.dumps(event))

    def _take(self, event: Event) -> None:
        match event["type"]:
            case "session.update":
                detection = event["session"]["audio"]["input"].get("turn_detection")
                self._silence = detection and detection.get("silence_duration_ms", 400) * _MS
                self._say("session.updated", session=event["session"])
            case "input_audio_buffer.append":
                self._hear(np.frombuffer(base64.b64decode(event["audio"]), dtype="<i2"))
            case "input_audio_buffer.commit":
                self._commit_by_hand(event.get("event_id"))

    def _hear(self, samples: NDArray[np.int16]) -> None:
        self._call.samples += samples.size
        if self._habits.records:
            self._call.audio.append(samples.tobytes())
        for run in _runs(samples):
            self._buffer.append(run)
            self._buffered += run.size
            if self._silence is None:
                continue
            if run[0]:
                self._speech(run.size)
            else:
                self._nothing(run.size)

    def _speech(self, count: int) -> None:
        if self._start is None:
            self._start = self._heard_upto
            self._item = f"item_{self._call.number}_{next(self._numbers)}"
            offset = self._offset("audio_start_ms", self._start)
            self._say("input_audio_buffer.speech_started", item_id=self._item, **offset)
        self._quiet = 0
        self._heard_upto += count

    def _nothing(self, count: int) -> None:
        if self._start is None or self._silence is None or self._quiet + count < self._silence:
            self._quiet += count
            self._heard_upto += count
            return
        needed = self._silence - self._quiet
        self._heard_upto += needed
        offset = self._offset("audio_end_ms", self._heard_upto)
        self._say("input_audio_buffer.speech_stopped", item_id=self._item, **offset)
        self._commit(count - needed)
        self._quiet = count - needed
        self._heard_upto += count - needed

    def _offset(self, name: str, at: int) -> dict[str, int]:
        if not self._habits.offsets:
            return {}
        match self._habits.origin:
            case "session":
                return {name: at // _MS}
            case "buffer":
                return {name: (at - self._committed_upto) // _MS}
            case "connection":
                return {name: int(1000 * (time.time() - self._began))}
            case "epoch":
                return {name: int(1000 * time.time())}

    def _commit_by_hand(self, event_id: str | None) -> None:
        if self._silence is not None and self._habits.commits != "answered":
            if self._habits.commits == "refused":
                self._say("error", error={"code": "invalid_request", "message": "no commits here"})
            return
        if self._buffered < _MIN_COMMIT and self._start is None:
            error = {
                "type": "invalid_request_error",
                "code": "input_audio_buffer_commit_empty",
                "message": "buffer too small",
                "event_id": event_id,
            }
            self._say("error", error=error)
            return
        if self._start is None:
            self._item = f"item_{self._call.number}_{next(self._numbers)}"
        self._commit(0)

    def _commit(self, keep: int) -> None:
        """Make an item of the buffer, without its last ``keep`` samples."""
        samples = np.concatenate(self._buffer) if self._buffer else np.zeros(0, np.int16)
        mine, rest = samples[: samples.size - keep], samples[samples.size - keep :]
        self._buffer, self._buffered, self._start = [rest], rest.size, None
        self._committed_upto += mine.size
        text = self._transcript(mine[mine != 0])
        if self._habits.records:
            self._call.items.append(text)
        self._say("input_audio_buffer.committed", item_id=self._item, previous_item_id=self._previous)
        self._previous = self._item
        kind = "conversation.item.input_audio_transcription"
        self._say(f"{kind}.delta", item_id=self._item, content_index=0, delta=text)
        usage = {"type": "duration", "seconds": 1}
        self._say(f"{kind}.completed", item_id=self._item, content_index=0, transcript=text, usage=usage)

    def _transcript(self, spoken: NDArray[np.int16]) -> str:
        if not spoken.size:
            return self._habits.invents
        return f"voice-{spoken.size}" if self._habits.voice else read_back(spoken)

    def _say(self, kind: str, **fields: Any) -> None:
        self._out.put_nowait(self._event(kind, **fields))

    def _event(self, kind: str, **fields: Any) -> Event:
        for name in ("item_id", "previous_item_id"):
            nameless = self._habits.ids == "none" or (
                self._habits.ids == "at the start" and not kind.endswith("speech_started")
            )
            if name in fields and nameless:
                del fields[name]
            elif fields.get(name) and self._habits.ids == "one":
                fields[name] = "item"
        if self._habits.ids == "strange" and kind.startswith("conversation.item"):
            fields["item_id"] = f"strange_{fields['item_id']}"
        return {"type": kind, "event_id": f"event_{next(self._numbers)}", **fields}


def _runs(samples: NDArray[np.int16]) -> Iterator[NDArray[np.int16]]:
    """Return the ranges of speech and of silence."""
    edges = np.flatnonzero(np.diff((samples != 0).astype(np.int8))) + 1
    yield from (run for run in np.split(samples, edges) if run.size)


THREAD_DEADLINE_S = 30.0


@contextmanager
def exact_endpoint() -> Iterator[str]:
    """The URL of an endpoint whose transcripts spell the sound."""
    ready, over = threading.Event(), threading.Event()
    endpoint = ExactEndpoint()

    async def serve() -> None:
        async with endpoint.serving():
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(THREAD_DEADLINE_S)
        yield endpoint.url
    finally:
        over.set()
        thread.join(THREAD_DEADLINE_S)
