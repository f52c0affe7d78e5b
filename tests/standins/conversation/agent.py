"""An agent that hears exact speech (see ``tests/exact.py``), replies with sound of its own, and calls tools.

A turn with the numbers ``a-b`` is answered with half a second of one value, which no other turn has. It speaks OpenAI's
protocol; a provider that departs from it is a subclass of :class:`AgentTalk`.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import zlib
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from websockets.exceptions import ConnectionClosed

from tests.exact import read_back

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from websockets.asyncio.server import ServerConnection

    from tests.standins.conversation.server import Agent

    Event = dict[str, Any]

RATE = 24_000
REPLY_SAMPLES = RATE // 2
PIECES = 5
"""Deltas of a reply."""
TRANSCRIPTION = "conversation.item.input_audio_transcription"
BETA = MappingProxyType(
    {
        "response.output_audio.delta": "response.audio.delta",
        "response.output_audio_transcript.delta": "response.audio_transcript.delta",
        "response.output_text.delta": "response.text.delta",
    }
)
"""Names of the beta protocol, by those of today."""


def value_of(text: str) -> int:
    """The value of each sample of the reply to a turn."""
    return 1 + zlib.crc32(text.encode()) % 30_000


class AgentTalk:
    """One connection.

    Args:
        connection: The connection.
        agent: What is counted.
        number: Of the connection.
    """

    rate_hz: ClassVar[int] = RATE
    """Of the user's sound."""
    names: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Other names of server events."""
    unknown: ClassVar[frozenset[str]] = frozenset()
    """Client events that there are not."""
    commits: ClassVar[bool] = True
    """Turns are announced as committed."""
    interrupts: ClassVar[bool] = False
    """Speech ends a reply, whatever was asked for."""

    def __init__(self, connection: ServerConnection, agent: Agent, number: int) -> None:
        self.agent = agent
        self.spoken = True
        self.detects = True
        self.silence_ms = 200
        self.ids = (f"{number}_{count}" for count in itertools.count(1))
        self.item = ""
        self.stopped = False
        """The end of the present turn's speech was told."""
        self.active: str | None = None
        self.last = ""
        """The text of the last turn of the user."""
        self._connection = connection
        self._buffer: list[NDArray[np.int16]] = []
        self._start: int | None = None
        self._quiet = 0
        self._upto = 0
        self._turns: dict[str, str] = {}
        """What a call is about, by call id."""
        self._spoken: dict[str, tuple[str, int]] = {}
        """Turn and received samples of each message of ours."""
        self._outputs: set[str] = set()
        self._waiting = False
        """A turn waits for the end of the active response."""
        self._cancelled: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    # -- what a provider does otherwise -------------------------------------------------------------------------------

    @classmethod
    def admits(cls, path: str, query: dict[str, list[str]]) -> bool:
        """Return whether there is such an endpoint."""
        return path == "/v1/realtime" and "model" in query

    async def greet(self) -> None:
        """Begin."""
        await self.say("session.created", session={})

    def configure(self, session: Event) -> str | None:
        """Take over the session. Return what is wrong with it."""
        heard = session["audio"]["input"]
        self.take_detection(heard["turn_detection"])
        self.spoken = session["output_modalities"] == ["audio"]
        if not self.agent.transcribes:
            heard["transcription"] = None
        return None

    def check(self, event: Event) -> str | None:
        """Return what is wrong with a client event. Takes over a session."""
        if event["type"] in self.unknown:
            return f"unknown: {event['type']}"
        if event["type"] == "session.update":
            return self.configure(event["session"])
        item = event.get("item", {})
        if item.get("role") == "assistant" and [part["type"] for part in item["content"]] != [self.text_type]:
            return "a part of the wrong type"
        return None

    text_type: ClassVar[str] = "output_text"
    """Of a part of what the assistant has said."""

    async def transcribe(self, item: str, text: str) -> None:
        """Tell the words of the user."""
        await self.say(f"{TRANSCRIPTION}.completed", item_id=item, content_index=0, transcript=text)

    async def call_tool(self, response: str, item: str, call: Event) -> None:
        """Tell of a call."""
        del item
        await self.say("response.output_item.done", response_id=response, output_index=0, item=call)

    async def refuse(self, event: Event, code: str) -> None:
        """Tell what is wrong."""
        self.agent.refusals.append(code)
        error = {"type": "invalid_request_error", "code": code, "message": code, "event_id": event.get("event_id")}
        await self.say("error", error=error)

    async def commit(self, event: Event) -> None:
        """Take a turn of the client."""
        if not self.buffered:
            await self.refuse(event, "input_audio_buffer_commit_empty")
            return
        self.item = f"item_{next(self.ids)}"
        await self.take_turn()

    # -- the connection -----------------------------------------------------------------------------------------------

    def take_detection(self, detection: Event | None) -> None:
        """Take over who makes the turns."""
        self.detects = detection is not None
        if detection is not None:
            self.silence_ms = detection["silence_duration_ms"]

    async def hold(self) -> None:
        """Answer until the client is gone."""
        await self.greet()
        try:
            async for message in self._connection:
                await self._take(json.loads(message))
        finally:
            for task in self._tasks:
                task.cancel()

    async def _take(self, event: Event) -> None:
        if event["type"] != "input_audio_buffer.append":
            self.agent.received.append(event)
        if (wrong := self.check(event)) is not None:
            await self.refuse(event, wrong)
            return
        match event["type"]:
            case "session.update":
                await self.say("session.updated", session=event["session"])
            case "input_audio_buffer.append":
                await self._hear(np.frombuffer(base64.b64decode(event["audio"]), "<i2"))
            case "input_audio_buffer.commit":
                await self.commit(event)
            case "conversation.item.create":
                await self._create(event["item"])
            case "conversation.item.truncate":
                turn, samples = self._spoken[event["item_id"]]
                assert event["audio_end_ms"] * RATE // 1000 <= samples
                self.agent.truncated.append((turn, event["audio_end_ms"]))
            case "response.create":
                await self.respond(event["event_id"])
            case "response.cancel":
                await self.cancel(event)
            case _:
                await self.other(event)

    async def other(self, event: Event) -> None:
        """Answer anything else."""
        await self.refuse(event, f"unknown: {event['type']}")

    async def cancel(self, event: Event) -> None:
        """End a reply."""
        if self.active is None or event.get("response_id", self.active) != self.active:
            await self.refuse(event, "response_cancel_not_active")
        else:
            self._cancelled.add(self.active)

    async def _create(self, item: Event) -> None:
        match item["type"]:
            case "message" if item["role"] == "user":
                self.last = item["content"][0]["text"]
            case "function_call":
                self._turns[item["call_id"]] = json.loads(item["arguments"])["turn"]
            case "function_call_output":
                self._outputs.add(self._turns[item["call_id"]])

    # -- the user -----------------------------------------------------------------------------------------------------

    async def _hear(self, samples: NDArray[np.int16]) -> None:
        silence = self.silence_ms * self.rate_hz // 1000
        edges = np.flatnonzero(np.diff((samples != 0).astype(np.int8))) + 1
        for run in np.split(samples, edges):
            if not run.size:
                continue
            if run[0]:
                await self._speech(run)
            elif self.detects and self._start is not None and self._quiet + run.size >= silence:
                needed = silence - self._quiet
                self._upto += needed
                await self._end_turn()
                self._upto += run.size - needed
            else:
                self._quiet += run.size
                self._upto += run.size
                if self._start is not None:
                    await self.quiet(self.ms(self._quiet))

    async def _speech(self, run: NDArray[np.int16]) -> None:
        if self.detects and (self._start is None or self.stopped):
            self.item = self.item if self.stopped else f"item_{next(self.ids)}"
            self._start, self.stopped = self._upto, False
            await self.say("input_audio_buffer.speech_started", item_id=self.item, audio_start_ms=self.ms(self._upto))
            if self.interrupts and self.active is not None:
                self._cancelled.add(self.active)
        self._buffer.append(run)
        self._quiet = 0
        self._upto += run.size

    async def quiet(self, silence_ms: int) -> None:
        """Note silence in a turn that has not ended."""

    async def stop_speech(self) -> None:
        """Tell of the end of speech."""
        self.stopped = True
        await self.say("input_audio_buffer.speech_stopped", item_id=self.item, audio_end_ms=self.ms(self._upto))

    async def _end_turn(self) -> None:
        if not self.stopped:
            await self.stop_speech()
        self._start, self._quiet, self.stopped = None, 0, False
        await self.take_turn()

    @property
    def buffered(self) -> bool:
        """Whether there is speech in no turn yet."""
        return bool(self._buffer)

    def ms(self, samples: int) -> int:
        """Samples as milliseconds."""
        return samples * 1000 // self.rate_hz

    async def take_turn(self) -> None:
        """Make a turn of what was heard, and reply to it."""
        text, item = read_back(np.concatenate(self._buffer)), self.item
        self._buffer.clear()
        self.last = text
        if self.commits:
            await self.say("input_audio_buffer.committed", item_id=item, previous_item_id=None)
        await self.answer(item, text)

    async def answer(self, item: str, text: str) -> None:
        """Reply to a turn of its own detection, and write it down."""
        if self.detects:
            await self.respond("")
        await asyncio.sleep(self.agent.pause_s)
        if self.agent.transcribes:
            await self.transcribe(item, text)

    # -- replies ------------------------------------------------------------------------------------------------------

    async def respond(self, event_id: str) -> None:
        """Begin a reply, unless there is one."""
        if self.active is not None:
            if event_id:
                await self.refuse({"event_id": event_id}, "conversation_already_has_active_response")
            self._waiting = self._waiting or not event_id
            return
        self.active = response = f"resp_{next(self.ids)}"
        await self.say("response.created", response={"id": response, "status": "in_progress", "output": []})
        task = asyncio.create_task(self._reply(response, self.last))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reply(self, response: str, turn: str) -> None:
        with suppress(ConnectionClosed):
            calls = self.agent.calls_tools and zlib.crc32(turn.encode()) % 2 == 0 and turn not in self._outputs
            await (self._call_tool(response, turn) if calls else self._speak(response, turn))
            status = "cancelled" if response in self._cancelled else "completed"
            self.active = None
            await self.say("response.done", response={"id": response, "status": status})
            if self._waiting and self.active is None:
                self._waiting = False
                await self.respond("")

    async def _call_tool(self, response: str, turn: str) -> None:
        name = next(self.ids)
        self._turns[f"call_{name}"] = turn
        call = {"type": "function_call", "id": f"item_{name}", "call_id": f"call_{name}", "name": "look"}
        call["arguments"] = json.dumps({"turn": turn})
        await asyncio.sleep(self.agent.pause_s)
        await self.call_tool(response, f"item_{name}", call)

    async def _speak(self, response: str, turn: str) -> None:
        item = f"item_{next(self.ids)}"
        ids = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        message = {"id": item, "type": "message", "role": "assistant", "content": []}
        await self.say("response.output_item.added", response_id=response, output_index=0, item=message)
        await self.tell_words(ids, f"reply to {turn}")
        self.agent.replies[turn] += 1
        if not self.spoken:
            return
        self._spoken[item] = (turn, 0)
        piece = np.full(REPLY_SAMPLES // PIECES, value_of(turn), "<i2").tobytes()
        for _ in range(PIECES):
            await asyncio.sleep(self.agent.pause_s)
            if response in self._cancelled:
                return
            self._spoken[item] = (turn, self._spoken[item][1] + len(piece) // 2)
            await self.say("response.output_audio.delta", **ids, delta=base64.b64encode(piece).decode())

    async def tell_words(self, ids: Event, words: str) -> None:
        """Tell the words of a reply."""
        kind = "response.output_audio_transcript.delta" if self.spoken else "response.output_text.delta"
        await self.say(kind, **ids, delta=words)

    async def say(self, kind: str, **fields: Any) -> None:
        """Send an event."""
        kind = self.names.get(kind, kind)
        await self._connection.send(json.dumps({"type": kind, "event_id": f"event_{next(self.ids)}", **fields}))
