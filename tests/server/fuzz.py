"""Random invalid frames among valid ones, and a client that sends them; seeded."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import random
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from rt_cli.server.faults.event_names import CLIENT_EVENTS
from tests.server.client import check, recording, silence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

EVERY = 100
"""Frames between two that must be answered."""
NO_UTF8 = "\ud800"
"""Half of a surrogate pair: the one frame whose answer is the end of the connection."""
_QUERIES = ("?model=any", "?intent=transcription", "", "?model=any&intent=transcription")
_FRAMES_OF_A_SESSION = 500
_IDS = ("item_id", "previous_item_id", "response_id")
_TEXTS = ("", "a", "\0", "\ud800", "é\u202e\U0001f600", "'\"\\/", "x" * 70, "{}", "root", "auto", "none", "inf", "NaN")
_NUMBERS = (0, -1, 1, 100, 2**31, 2**53 + 1, 2**63, 2**64, -(2**64), 10**30, 10**400, 0.5, -0.0, 1e308, 5e-324)
_DETECTION = {
    "type": ("server_vad", "semantic_vad", None),
    "threshold": (0, 0.5, 1, 2),
    "prefix_padding_ms": (0, 300, 5_000, 5_001),
    "silence_duration_ms": (0, 1, 200, 500),
    "idle_timeout_ms": (None, 4_999, 5_000),
    "eagerness": ("low", "high", "auto"),
    "create_response": (True, False),
    "interrupt_response": (True, False),
}
_FORMAT = {"type": ("audio/pcm", "audio/pcm", "audio/pcmu", "audio/pcma"), "rate": (24_000, 8_000, 16_000, 96_000)}
_TOOLS = ([], [{"type": "function", "name": "f", "parameters": {"type": "object"}}], [{"type": "mcp"}])
_REPLY = {
    "instructions": ("", "Speak.", None),
    "output_modalities": (["audio"], ["text"], ["audio", "text"]),
    "max_output_tokens": (1, 5, 4_096, "inf", 0),
    "tools": _TOOLS,
    "tool_choice": ("auto", "none", {"type": "function", "name": "f"}),
    "reasoning": (None, {"effort": "low"}),
}
_OUTPUT = {"format": _FORMAT, "voice": ("alloy", "ash", {"id": "v"}), "speed": (0.25, 1, 1.5, 9)}
_SESSION = {
    "type": ("realtime", "realtime", "transcription", None),
    "audio": {
        "input": {
            "format": _FORMAT,
            "transcription": {"model": ("any",), "language": ("en", "", None), "prompt": ("Names",)},
            "noise_reduction": {"type": ("near_field", "far_field")},
            "turn_detection": _DETECTION,
        },
        "output": _OUTPUT,
    },
    "include": ([], ["item.input_audio_transcription.logprobs"]),
    "tracing": (None, "auto", {"metadata": {}}),
    "truncation": ("auto", {"type": "retention_ratio", "retention_ratio": 0.5}),
    "prompt": (None, {"id": "p", "variables": {"a": "b"}}),
    **_REPLY,
}
_SOME_SOUND = base64.b64encode(bytes(9_600)).decode()
_ITEM = {
    "id": (None, "chosen", "x" * 65),
    "type": ("message", "message", "message", "function_call", "function_call_output"),
    "role": ("user", "user", "assistant", "system"),
    "content": (
        [],
        [{"type": "input_text", "text": "words"}],
        [{"type": "output_text", "text": "words"}],
        [{"type": "input_audio", "audio": _SOME_SOUND}, {"type": "input_text", "text": "words"}],
        [{"type": "input_image", "image_url": "data:image/png;base64,AA=="}],
    ),
    "name": ("f",),
    "arguments": ("{}",),
    "call_id": ("c",),
    "output": ("",),
}
_RESPONSE = {
    "conversation": ("auto", "none", "conv"),
    "input": ([], [{"type": "item_reference", "id": "chosen"}], [{"type": "message", "role": "user", "content": []}]),
    "metadata": ({}, {"a": "b"}, None),
    "audio": {"output": _OUTPUT},
    **_REPLY,
}


class Frames:
    """An endless sequence of frames.

    Args:
        seed: Seed of all random choices.
    """

    def __init__(self, seed: int) -> None:
        self.ids: deque[str] = deque(["chosen"], maxlen=20)
        """Ids of the newest items and responses; the reading side sets them."""
        self._random = random.Random(seed)
        speech = recording("sense_0930") + silence(1)
        self._speech = [speech[at : at + 9_600] for at in range(0, len(speech), 9_600)]
        self._at = 0
        self._kinds: dict[Callable[[], str | bytes], int] = {
            self._sound: 30,
            self._event: 25,
            self._update: 15,
            self._wrong_sound: 5,
            self._wrong_json: 8,
            self._bent: 10,
            self._deep: 4,
            self._bytes: 3,
        }

    def __iter__(self) -> Iterator[str | bytes]:
        """Text frames are str, binary ones bytes."""
        while True:
            (kind,) = self._random.choices(list(self._kinds), list(self._kinds.values()))
            yield kind()

    def choose(self, *choices: Any) -> Any:
        """One of these values."""
        return self._random.choice(choices)

    def _sound(self) -> str:
        self._at = (self._at + 1) % len(self._speech)
        return _frame("input_audio_buffer.append", audio=base64.b64encode(self._speech[self._at]).decode())

    def _wrong_sound(self) -> str:
        odd = base64.b64encode(self._random.randbytes(self.choose(1, 3, 4_801, 200_001))).decode()
        audio = self.choose(odd, odd[:-1], odd + "=", "", "====", "a b", "ü", _SOME_SOUND * 2, self._junk())
        return _frame("input_audio_buffer.append", audio=audio)

    def _update(self) -> str:
        return _frame("session.update", session=self._grown(_SESSION))

    def _event(self) -> str:
        type_ = self.choose(*CLIENT_EVENTS)
        fields = {name: self._random.choice(self.ids) for name in _IDS if self._random.random() < 0.6}
        fields |= {"content_index": self.choose(0, 0, 1), "audio_end_ms": self.choose(0, 50, 10**9)}
        if type_ == "conversation.item.create":
            fields["item"] = self._grown(_ITEM, 0.8)
            if self._random.random() < 0.3:
                fields["item"]["id"] = self._random.choice(self.ids)
            if self._random.random() < 0.5:
                fields.pop("previous_item_id", None)
        if type_ == "response.create" and self._random.random() < 0.5:
            fields["response"] = self._grown(_RESPONSE, 0.2)
        if self._random.random() < 0.1:
            fields[self.choose("item", "session", "response", "audio", *_IDS)] = self._junk()
        return _frame(type_, event_id=self.choose(None, "mine", self._junk()), **fields)

    def _wrong_json(self) -> str:
        whole = json.dumps(self._junk())
        return str(
            self.choose(
                whole,
                whole[: self._random.randrange(len(whole))],
                "".join(chr(self._random.choice((0x20, 0x7B, 0xE9, 0x4E00, 0x1F600)) + number) for number in range(50)),
                '{"type":1e999}',
                '{"type":' + "9" * self.choose(25, 5_000) + "}",
                '{"type":"\\ud800"}',
                '{"type":"session.update","type":"input_audio_buffer.clear"}',
                NO_UTF8 if self._random.random() < 0.1 else "",
                '\ufeff{"type":"input_audio_buffer.clear"}',
                "{" + ",".join(f'"{number}":[]' for number in range(self.choose(1_000, 120_000))) + "}",
            )
        )

    def _bent(self) -> str:
        """A valid frame with some changed characters."""
        text = list(self.choose(self._update, self._event)())
        for _ in range(self.choose(1, 3)):
            text[self._random.randrange(len(text))] = self.choose("", "\0", '"', "{", "]", ",", "1", "é", "\U0001f600")
        return "".join(text)

    def _deep(self) -> str:
        depth = self._random.choice([*range(10, 1_100, 30), 960 + self._random.randrange(50), 100_000])
        tree = self.choose("[]", '{"a":|}').replace("[]", "[|]").split("|")
        nested = tree[0] * depth + "0" + tree[1] * depth
        return str(
            self.choose(
                nested,
                f'{{"type":{nested}}}',
                f'{{"type":"conversation.item.create","item":{nested}}}',
                f'{{"type":"response.create","response":{{"input":[{nested}]}}}}',
                f'{{"type":"session.update","session":{{"type":"realtime","tracing":{{"metadata":{{"a":{nested}}}}}}}}}',
                '{"type":"session.update","session":{"type":"realtime","tools":'
                f'[{{"type":"function","name":"f","parameters":{{"a":{nested}}}}}]}}}}',
            )
        )

    def _bytes(self) -> bytes:
        return self._random.randbytes(self._random.randrange(2_000))

    def _grown(self, tree: dict[str, Any], part: float = 0.3) -> dict[str, Any]:
        """A tree with some of the fields, mostly with values of the right type."""
        grown: dict[str, Any] = {}
        for name, choices in tree.items():
            if name != "type" and self._random.random() > part:
                continue
            if self._random.random() < 0.03:
                grown[name] = self._junk()
            elif isinstance(choices, dict):
                grown[name] = self._grown(choices, 0.5)
            else:
                grown[name] = self._random.choice(choices)
        if self._random.random() < 0.02:
            grown[str(self.choose(*_TEXTS))] = self._junk()
        return {name: value for name, value in grown.items() if name != "type" or value is not None}

    def _junk(self, levels: int = 3) -> Any:
        kind = self._random.randrange(6 if levels else 4)
        match kind:
            case 0:
                return self.choose(None, True, False)
            case 1:
                return self._random.choice(_NUMBERS)
            case 2 | 3:
                return self.choose(*_TEXTS, "long " * 5_000)
            case 4:
                return [self._junk(levels - 1) for _ in range(self.choose(0, 1, 3))]
            case _:
                return {self.choose("type", "id", *_TEXTS): self._junk(levels - 1) for _ in range(self.choose(0, 1, 3))}


def _frame(type_: str, **fields: Any) -> str:
    return json.dumps({"type": type_, **fields})


@dataclass
class Tally:
    """Counts of a run."""

    frames: int = 0
    events: Counter[str] = field(default_factory=Counter)
    """From the server, by type."""
    errors: Counter[str] = field(default_factory=Counter)
    """By code."""
    closes: Counter[int | None] = field(default_factory=Counter)
    """Ends of connections that were not ours, by code."""
    unprovoked: int = 0
    """Those without a frame that may end a connection."""
    slowest_s: float = 0.0
    """Until something that must be answered was."""


class Fuzzer:
    """Sends frames, session after session, each with one deadline for its answers.

    Args:
        url: URL of the server.
        seed: Seed of the frames.
        deadline_s: Deadline of each answer and of the closing handshake.
        fragments: Share of the frames that are sent in fragments.
    """

    def __init__(self, url: str, seed: int, deadline_s: float = 60, *, fragments: float = 0.0) -> None:
        self.tally = Tally()
        self._url = url
        self._frames = Frames(seed)
        self._deadline_s = deadline_s
        self._fragments = fragments
        self._chance = random.Random(seed)

    async def run(self, frames: int) -> AsyncIterator[int]:
        """Send this number of frames; prints progress every :data:`EVERY` frames, after an answer."""
        while self.tally.frames < frames:
            query = self._frames.choose(*_QUERIES)
            async with connect(self._url + query, compression=None, max_size=None, close_timeout=1) as socket:
                async for sent in self._session(socket, min(frames, self.tally.frames + _FRAMES_OF_A_SESSION)):
                    yield sent
                if self._frames.choose(True, False):
                    socket.transport.abort()

    async def _session(self, socket: ClientConnection, until: int) -> AsyncIterator[int]:
        answers: asyncio.Queue[str] = asyncio.Queue(1)
        reading, provoked = asyncio.create_task(self._read(socket, answers)), False
        try:
            for frame in self._frames:
                self.tally.frames += 1
                text = isinstance(frame, str)
                provoked = provoked or frame == NO_UTF8
                payload = frame.encode(errors="surrogatepass") if isinstance(frame, str) else frame
                await socket.send(self._pieces(payload), text=text)
                if self.tally.frames % EVERY == 0:
                    await self._answered(socket, answers, reading)
                    yield self.tally.frames
                if self.tally.frames >= until:
                    return
        except ConnectionClosed:
            await asyncio.wait([reading], timeout=self._deadline_s)
            self.tally.closes[socket.close_code] += 1
            self.tally.unprovoked += not provoked
        finally:
            reading.cancel()
            await asyncio.wait([reading])
        if not reading.cancelled():
            reading.result()

    def _pieces(self, payload: bytes) -> bytes | list[bytes]:
        """The payload, or its fragments: a few, some of them empty."""
        if self._chance.random() >= self._fragments:
            return payload
        cuts = sorted(self._chance.randrange(len(payload) + 1) for _ in range(self._chance.choice((1, 3, 100))))
        return [payload[start:end] for start, end in itertools.pairwise((0, *cuts, len(payload)))]

    async def _answered(
        self, socket: ClientConnection, answers: asyncio.Queue[str], reading: asyncio.Task[None]
    ) -> None:
        """Wait for an answer; raises TimeoutError if the server hangs."""
        name, loop = f"after {self.tally.frames}", asyncio.get_running_loop()
        began = loop.time()
        await socket.send(_frame("no.such.event", event_id=name))
        async with asyncio.timeout(self._deadline_s):
            waiting = asyncio.create_task(answers.get())
            await asyncio.wait([waiting, reading], return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            reading.result()
            return  # closed: sending the next frame fails
        assert waiting.result() == name
        self.tally.slowest_s = max(self.tally.slowest_s, loop.time() - began)

    async def _read(self, socket: ClientConnection, answers: asyncio.Queue[str]) -> None:
        with suppress(ConnectionClosed):
            while True:
                event = json.loads(await socket.recv())
                check(event)
                self.tally.events[event["type"]] += 1
                if event["type"] == "error":
                    error = event["error"]
                    self.tally.errors[error["code"]] += 1
                    if str(error["event_id"]).startswith("after "):
                        await answers.put(error["event_id"])
                self._note_ids(event)

    def _note_ids(self, event: dict[str, Any]) -> None:
        named = [event.get("item_id"), event.get("item", {}).get("id"), event.get("response", {}).get("id")]
        self._frames.ids.extend(name for name in named if name and name not in self._frames.ids)
