"""The conversation side of a session: items and responses, as the client asks for them and as turns end."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

from rt_cli.server.session import wire
from rt_cli.server.session.conversation import item_shapes, response_create
from rt_cli.server.session.conversation.items import KEPT_BYTES, KEPT_BYTES_OF_A_TRANSCRIPTION, Item, Items, Sound
from rt_cli.server.session.conversation.responses import Host, Responses
from rt_cli.server.session.input import audio_format

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rt_cli.server.replies.interface import Replier
    from rt_cli.server.session.input.input import AudioInput
    from rt_cli.server.session.input.transcription import TurnTranscriber


def new_id(kind: str) -> str:
    """An id that nobody has had, as ``item_...``."""
    return f"{kind}_{secrets.token_hex(10)}"


class Conversation:
    """Items and responses of one session.

    Args:
        audio_input: The input side, whose configuration counts.
        items: The conversation's.
        transcriber: Where words come from.
        replier: What answers; None: nothing does.
        group: Parent of the tasks.
        tell: Sends an event.
        note: Tells those who watch the server.
    """

    def __init__(
        self,
        audio_input: AudioInput,
        items: Items,
        transcriber: TurnTranscriber,
        replier: Replier | None,
        group: asyncio.TaskGroup,
        tell: Callable[[wire.Event], Awaitable[None]],
        note: Callable[..., None],
    ) -> None:
        self._audio_input = audio_input
        self._items = items
        self._replier = replier
        self._tell = tell
        self._id = new_id("conv")
        self._last_response = ""
        host = Host(
            replier=replier,
            items=items,
            conversation_id=self._id,
            tell=self._tell_of_response,
            settled=transcriber.settled,
            note=note,
            began=audio_input.reply_began,
            heard=self._fix_voice,
            ended=audio_input.reply_ended,
            new_id=new_id,
        )
        self._replies = Responses(host, group)

    async def obey(self, event: wire.ClientEvent) -> bool:
        """Do what a client event asks for.

        Returns:
            False if it is none of this side.

        Raises:
            Rejected: It cannot be done; nothing has changed.
        """
        match event.type:
            case "conversation.item.create":
                await self._create_item(event)
            case "conversation.item.retrieve":
                item = self._items.find(event.item_id, "retrieve", "retrieving")
                whole = await asyncio.to_thread(item.with_audio, self._encoding(item))  # minutes of it take a while
                await self._tell({"type": "conversation.item.retrieved", "item": whole})
            case "conversation.item.truncate":
                self._items.truncate(event.item_id, event.content_index, event.audio_end_ms)
                fields = {"content_index": event.content_index, "audio_end_ms": event.audio_end_ms}
                await self._tell({"type": "conversation.item.truncated", "item_id": event.item_id, **fields})
            case "conversation.item.delete":
                item_id = self._items.delete(event.item_id)
                await self._tell({"type": "conversation.item.deleted", "item_id": item_id})
            case "response.create":
                await self._create_response(event.response)
            case "response.cancel":
                self._replies.cancel(event.response_id)
            case "output_audio_buffer.clear":
                await self._tell({"type": "output_audio_buffer.cleared", "response_id": self._last_response})
            case _:
                return False
        return True

    def needs_words(self) -> bool:
        """Whether turns are to be recognised for what answers them: where it answers in writing, always."""
        config = self._audio_input.config
        if self._replier is None or config.type == "transcription":
            return False
        return self._replier.needs_words or config.replies["output_modalities"] == ["text"]

    def place(self, item_id: str) -> str | None:
        """Give a turn that is being committed its place; the item before it."""
        transcribing = self._audio_input.config.type == "transcription"
        self._items.kept_bytes = KEPT_BYTES_OF_A_TRANSCRIPTION if transcribing else KEPT_BYTES
        return self._items.add(Item(wire.turn(item_id))).previous

    def keep(self, item_id: str, pcm: bytes) -> None:
        """Keep the audio of a turn that was committed."""
        self._items.give_sound(item_id, item_shapes.sound(pcm, self._audio_input.config.rate_hz))

    def answer(self) -> None:
        """A turn has ended that is to be answered."""
        self._replies.answer(lambda: self._begin(response_create.by_itself(self._audio_input.config.replies)))

    def interrupt(self) -> None:
        """Somebody speaks."""
        self._replies.interrupt()

    def close(self) -> None:
        """End all responses; nothing more is told."""
        self._replies.close()

    async def _create_item(self, event: wire.ClientEvent) -> None:
        item = self._checked(event.item, "item")
        self._items.create(item, event.previous_item_id, self._audio_input.promised)
        for told in wire.item_created(item.shape, item.previous):
            await self._tell(told)

    async def _create_response(self, response: object) -> None:
        config = self._audio_input.config
        if config.type == "transcription":
            raise wire.Rejected("invalid_value", "A transcription session has no responses.", "type")
        asked = response_create.asked(response, config.replies, self._id, voice_fixed=self._audio_input.voice_fixed)
        # What the client asked for afterwards is answered afterwards.
        await self._begin(asked).wait()

    def _begin(self, asked: response_create.ResponseRequest) -> asyncio.Event:
        input_ = None if asked.input is None else [self._input(*pair) for pair in enumerate(asked.input)]
        coding = audio_format.coding(asked.settings.output_format)
        return self._replies.create(asked.settings, input_, audio_format.encoder(coding))

    def _input(self, index: int, value: object) -> Item:
        param = f"response.input[{index}]"
        reference = item_shapes.reference(value, param)
        if reference is None:
            return self._checked(value, param)
        item = self._items.get(reference)
        if item is None:
            message = f"{param}: the item with id '{reference}' does not exist."
            raise wire.Rejected("item_not_found", message, f"{param}.id")
        return item

    def _checked(self, value: object, param: str) -> Item:
        config = self._audio_input.config

        def decode(audio: object, path: str) -> bytes:
            return audio_format.decode(audio, path, config.input_format)

        return item_shapes.checked(value, param, new_id, decode, config.rate_hz)

    def _encoding(self, item: Item) -> Callable[[Sound], bytes]:
        config = self._audio_input.config
        coding = config.output_format if item.is_spoken_reply else config.input_format
        return lambda sound: audio_format.encode(sound, coding)

    def _fix_voice(self) -> None:
        self._audio_input.voice_fixed = True

    async def _tell_of_response(self, event: dict[str, Any]) -> None:
        if event["type"] == "response.created":
            self._last_response = event["response"]["id"]
        await self._tell(event)
