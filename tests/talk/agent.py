"""An agent that hears exact speech (see ``tests/exact.py``), replies with sound of its own, and calls tools.

A turn with the numbers ``a-b`` is answered with :data:`REPLY_SAMPLES` samples of one value, which no other turn has.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import zlib
from collections import Counter
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from tests.exact import read_back

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from numpy.typing import NDArray
    from websockets.asyncio.server import ServerConnection

    Event = dict[str, Any]

RATE = 24_000
REPLY_SAMPLES = RATE // 2
PIECES = 5
"""Deltas of a reply."""


def value_of(text: str) -> int:
    """The value of each sample of the reply to a turn."""
    return 1 + zlib.crc32(text.encode()) % 30_000


@dataclass
class Agent:
    """The agent, and what its clients did.

    Args:
        calls_tools: Whether it calls a tool before it replies to a turn, for every second turn.
        pause_s: Between two deltas.
        transcribes: Whether it writes down what the user says.
    """

    calls_tools: bool = False
    pause_s: float = 0.0
    transcribes: bool = True
    """Whether it writes down what the user says."""
    port: int = 0
    connections: int = 0
    replies: Counter[str] = field(default_factory=Counter)
    """How often a reply to a turn was begun."""
    truncated: list[tuple[str, int]] = field(default_factory=list)
    """The turn whose reply was cut, and where, ms."""
    refusals: list[str] = field(default_factory=list)
    """Codes of the errors that clients caused."""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Agent]:
        """Listen during the block."""
        async with serve(
            self._call, "127.0.0.1", 0, compression=None, max_size=None, close_timeout=0.2, ping_interval=None
        ) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield self

    async def _call(self, connection: ServerConnection) -> None:
        self.connections += 1
        with suppress(ConnectionClosed):
            await _Talk(connection, self, self.connections).hold()


class _Talk:
    """One connection."""

    def __init__(self, connection: ServerConnection, agent: Agent, number: int) -> None:
        self._connection = connection
        self._agent = agent
        self._ids = (f"{number}_{count}" for count in itertools.count(1))
        self._silence = 200 * RATE // 1000
        self._buffer: list[NDArray[np.int16]] = []
        self._start: int | None = None
        self._quiet = 0
        self._upto = 0
        self._item = ""
        self._turns: dict[str, str] = {}
        """The text of the user's turns, or what a call is about, by item or call id."""
        self._last = ""
        self._spoken: dict[str, tuple[str, int]] = {}
        """Turn and received samples of each message of ours."""
        self._outputs: set[str] = set()
        self._active: str | None = None
        self._waiting = False
        """A turn waits for the end of the active response."""
        self._cancelled: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def hold(self) -> None:
        """Answer until the client is gone."""
        await self._say("session.created", session={})
        try:
            async for message in self._connection:
                await self._take(json.loads(message))
        finally:
            for task in self._tasks:
                task.cancel()

    async def _take(self, event: Event) -> None:
        match event["type"]:
            case "session.update":
                self._silence = (
                    event["session"]["audio"]["input"]["turn_detection"]["silence_duration_ms"] * RATE // 1000
                )
                if not self._agent.transcribes:
                    event["session"]["audio"]["input"]["transcription"] = None
                await self._say("session.updated", session=event["session"])
            case "input_audio_buffer.append":
                await self._hear(np.frombuffer(base64.b64decode(event["audio"]), "<i2"))
            case "conversation.item.create":
                await self._create(event["item"])
            case "conversation.item.truncate":
                turn, samples = self._spoken[event["item_id"]]
                assert event["audio_end_ms"] * RATE // 1000 <= samples
                self._agent.truncated.append((turn, event["audio_end_ms"]))
            case "response.create":
                await self._respond(event["event_id"])
            case "response.cancel":
                if self._active != event["response_id"]:
                    await self._refuse(event, "response_cancel_not_active")
                else:
                    self._cancelled.add(event["response_id"])

    async def _create(self, item: Event) -> None:
        match item["type"]:
            case "message" if item["role"] == "user":
                self._last = item["content"][0]["text"]
            case "function_call":
                self._turns[item["call_id"]] = json.loads(item["arguments"])["turn"]
            case "function_call_output":
                self._outputs.add(self._turns[item["call_id"]])

    async def _hear(self, samples: NDArray[np.int16]) -> None:
        edges = np.flatnonzero(np.diff((samples != 0).astype(np.int8))) + 1
        for run in np.split(samples, edges):
            if not run.size:
                continue
            if run[0]:
                await self._speech(run)
            elif self._start is not None and self._quiet + run.size >= self._silence:
                needed = self._silence - self._quiet
                self._upto += needed
                await self._end_turn()
                self._upto += run.size - needed
            else:
                self._quiet += run.size
                self._upto += run.size

    async def _speech(self, run: NDArray[np.int16]) -> None:
        if self._start is None:
            self._start, self._item = self._upto, f"item_{next(self._ids)}"
            where = {"item_id": self._item, "audio_start_ms": self._upto * 1000 // RATE}
            await self._say("input_audio_buffer.speech_started", **where)
        self._buffer.append(run)
        self._quiet = 0
        self._upto += run.size

    async def _end_turn(self) -> None:
        text = read_back(np.concatenate(self._buffer))
        item, self._buffer, self._start, self._quiet = self._item, [], None, 0
        await self._say("input_audio_buffer.speech_stopped", item_id=item, audio_end_ms=self._upto * 1000 // RATE)
        await self._say("input_audio_buffer.committed", item_id=item, previous_item_id=None)
        self._last = text
        await self._respond("")
        kind = "conversation.item.input_audio_transcription.completed"
        await asyncio.sleep(self._agent.pause_s)
        if not self._agent.transcribes:
            return
        await self._say(kind, item_id=item, content_index=0, transcript=text)

    async def _respond(self, event_id: str) -> None:
        if self._active is not None:
            if event_id:
                await self._refuse({"event_id": event_id}, "conversation_already_has_active_response")
            self._waiting = self._waiting or not event_id
            return
        self._active = response = f"resp_{next(self._ids)}"
        await self._say("response.created", response={"id": response})
        task = asyncio.create_task(self._reply(response, self._last))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reply(self, response: str, turn: str) -> None:
        with suppress(ConnectionClosed):
            calls = self._agent.calls_tools and zlib.crc32(turn.encode()) % 2 == 0 and turn not in self._outputs
            await (self._call_tool(response, turn) if calls else self._speak(response, turn))
            status = "cancelled" if response in self._cancelled else "completed"
            self._active = None
            await self._say("response.done", response={"id": response, "status": status})
            if self._waiting and self._active is None:
                self._waiting = False
                await self._respond("")

    async def _call_tool(self, response: str, turn: str) -> None:
        name = next(self._ids)
        self._turns[f"call_{name}"] = turn
        call = {"type": "function_call", "id": f"item_{name}", "call_id": f"call_{name}", "name": "look"}
        call["arguments"] = json.dumps({"turn": turn})
        await asyncio.sleep(self._agent.pause_s)
        await self._say("response.output_item.done", response_id=response, output_index=0, item=call)

    async def _speak(self, response: str, turn: str) -> None:
        item = f"item_{next(self._ids)}"
        ids = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
        message = {"id": item, "type": "message", "role": "assistant", "content": []}
        await self._say("response.output_item.added", response_id=response, output_index=0, item=message)
        await self._say("response.output_audio_transcript.delta", **ids, delta=f"reply to {turn}")
        self._agent.replies[turn] += 1
        self._spoken[item] = (turn, 0)
        piece = np.full(REPLY_SAMPLES // PIECES, value_of(turn), "<i2").tobytes()
        for _ in range(PIECES):
            await asyncio.sleep(self._agent.pause_s)
            if response in self._cancelled:
                return
            self._spoken[item] = (turn, self._spoken[item][1] + len(piece) // 2)
            await self._say("response.output_audio.delta", **ids, delta=base64.b64encode(piece).decode())

    async def _refuse(self, event: Event, code: str) -> None:
        self._agent.refusals.append(code)
        error = {"type": "invalid_request_error", "code": code, "message": code, "event_id": event.get("event_id")}
        await self._say("error", error=error)

    async def _say(self, kind: str, **fields: Any) -> None:
        await self._connection.send(json.dumps({"type": kind, "event_id": f"event_{next(self._ids)}", **fields}))
