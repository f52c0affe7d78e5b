"""A session of the official Python client with strict checks: types and order of all events."""

from __future__ import annotations

import base64
from collections import defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.server.client import check

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from openai import AsyncOpenAI
    from openai.resources.realtime.realtime import AsyncRealtimeConnection

CONVERSATION: dict[str, Any] = {"model": "gpt-realtime"}
TRANSCRIPTION: dict[str, Any] = {"extra_query": {"intent": "transcription"}}

ITEM = ("conversation.item.added", "conversation.item.done")
_WORDS = "conversation.item.input_audio_transcription"
COMMIT = ("input_audio_buffer.committed", *ITEM)
SPEECH = ("input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped")
DELTA, COMPLETED = f"{_WORDS}.delta", f"{_WORDS}.completed"
_BEGUN = ("response.created", "response.output_item.added", "conversation.item.added")
_ENDED = ("conversation.item.done", "response.output_item.done", "response.done", "rate_limits.updated")
_AUDIO, _WORDS_OF_IT = "response.output_audio", "response.output_audio_transcript"
_PART = "response.content_part.added"
_SOUND = (f"{_AUDIO}.delta|{_WORDS_OF_IT}.delta*", f"{_AUDIO}.done", f"{_WORDS_OF_IT}.done")
_TEXT = ("response.output_text.delta*", "response.output_text.done")
SPOKEN = (*_BEGUN, _PART, *_SOUND, "response.content_part.done", *_ENDED)
WRITTEN = (*_BEGUN, _PART, *_TEXT, "response.content_part.done", *_ENDED)
_ARGUMENTS = "response.function_call_arguments"
CALLED = (*_BEGUN, f"{_ARGUMENTS}.delta*", f"{_ARGUMENTS}.done", *_ENDED)
"""The order of OpenAI's events."""


def transcribed(*steps: str) -> tuple[str, ...]:
    """These steps and the end of the transcription; words may come at any position."""
    return (steps[0], *(step for later in (*steps[1:], COMPLETED) for step in (f"{DELTA}*", later)))


class Talk:
    """A session.

    Args:
        connection: Connection of the official client.
    """

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.to = connection

    async def receive(self) -> Any:
        """The next event as the client decodes it, validated in its raw form."""
        event = await self.to.recv()
        check(event.to_dict())
        return event

    async def follow(self, *steps: str) -> dict[str, list[Any]]:
        """Events in exactly this order, by their types.

        Args:
            steps: Types; ``a|b`` means either type, a final ``*`` any number. The last step must not have ``*``.
        """
        got: dict[str, list[Any]] = defaultdict(list)
        event = await self.receive()
        for step in steps:
            kinds = step.removesuffix("*").split("|")
            while event.type in kinds:
                got[event.type].append(event)
                if step is steps[-1]:
                    return got
                event = await self.receive()
                if not step.endswith("*"):
                    break
            else:
                assert step.endswith("*"), f"{event.to_dict()} in place of {step}"
        raise AssertionError("the last step is one event")

    async def next(self, kind: str) -> Any:
        """The next event, which must have this type."""
        return (await self.follow(kind))[kind][0]

    async def until(self, kind: str) -> Any:
        """The next event of this type; other events before it are skipped."""
        while (event := await self.receive()).type != kind:
            pass
        return event

    async def all_of(self, *kinds: str) -> dict[str, Any]:
        """The next event of each of these types, in any order."""
        got: dict[str, Any] = {}
        while not got.keys() >= set(kinds):
            event = await self.receive()
            got.setdefault(event.type, event)
        return got

    async def refused(self, event_id: str | None = None) -> tuple[str, str | None]:
        """The next event must be an error for this client event; returns code and parameter."""
        error = (await self.next("error")).error
        assert error.event_id == event_id
        assert error.message
        return error.code, error.param

    async def append(self, pcm: bytes, piece: int = 9_600) -> None:
        """Send audio in pieces of 200 ms."""
        for start in range(0, len(pcm), piece):
            await self.to.input_audio_buffer.append(audio=base64.b64encode(pcm[start : start + piece]).decode())

    async def transcribe(self, detection: Any = None) -> None:
        """Configure a transcription session, by default without turn detection."""
        input_: Any = {"transcription": {"model": "gpt-4o-transcribe"}, "turn_detection": detection}
        await self.to.session.update(session={"type": "transcription", "audio": {"input": input_}})
        await self.next("session.updated")

    async def converse(self, detection: Any = None, **settings: Any) -> Any:
        """Configure a conversation, by default without turn detection."""
        audio: Any = {"input": {"turn_detection": detection}}
        await self.to.session.update(session={"type": "realtime", "audio": audio, **settings})
        return await self.next("session.updated")

    async def write(self, text: str) -> str:
        """Create a text item; returns its id."""
        content: Any = [{"type": "input_text", "text": text}]
        await self.to.conversation.item.create(item={"type": "message", "role": "user", "content": content})
        return str((await self.follow(*ITEM))[ITEM[0]][0].item.id)


@asynccontextmanager
async def talking(client: AsyncOpenAI, **options: Any) -> AsyncIterator[Talk]:
    """A session that has started.

    Args:
        client: The official client.
        options: Options of its ``connect``.
    """
    async with client.realtime.connect(**options) as connection:
        talk = Talk(connection)
        await talk.next("session.created")
        yield talk


def audio_of(events: dict[str, list[Any]]) -> bytes:
    """The audio of a reply."""
    return b"".join(base64.b64decode(event.delta) for event in events[f"{_AUDIO}.delta"])


def joined_text(events: list[Any]) -> str:
    """The joined text of deltas."""
    return "".join(event.delta for event in events)
