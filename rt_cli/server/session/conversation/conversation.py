"""The conversation side of a session: items and responses, from client events and from the ends of turns."""

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
    """Create a random id with this prefix, for example ``item_...``."""
    return f"{kind}_{secrets.token_hex(10)}"


class Conversation:
    """Items and responses of one session.

    Args:
        audio_input: The input side; owns the session's configuration.
        items: The items of the conversation.
        transcriber: Transcribes the turns.
        replier: Writes the replies; None: responses have no output.
        group: Parent of the tasks.
        send_event: Sends an event to the client.
        notify: Sends a log event of the server.
    """

    def __init__(
        self,
        audio_input: AudioInput,
        items: Items,
        transcriber: TurnTranscriber,
        replier: Replier | None,
        group: asyncio.TaskGroup,
        send_event: Callable[[wire.Event], Awaitable[None]],
        notify: Callable[..., None],
    ) -> None:
        self._audio_input = audio_input
        self._items = items
        self._replier = replier
        self._send_event = send_event
        self._id = new_id("conv")
        self._last_response = ""
        host = Host(
            replier=replier,
            items=items,
            conversation_id=self._id,
            send_event=self._send_response_event,
            wait_final=transcriber.wait_final,
            notify=notify,
            on_begin=audio_input.on_reply_begin,
            on_audio=self._fix_voice,
            on_end=audio_input.on_reply_end,
            new_id=new_id,
        )
        self._responses = Responses(host, group)

    async def handle(self, event: wire.ClientEvent) -> bool:
        """Handle a client event of the conversation side.

        Returns:
            False if the event does not belong to this side.

        Raises:
            Rejected: The event is invalid; nothing has changed.
        """
        match event.type:
            case "conversation.item.create":
                await self._create_item(event)
            case "conversation.item.retrieve":
                item = self._items.find(event.item_id, "retrieve", "retrieving")
                whole = await asyncio.to_thread(
                    item.with_audio, self._encoding(item)
                )  # encoding minutes of audio blocks
                await self._send_event({"type": "conversation.item.retrieved", "item": whole})
            case "conversation.item.truncate":
                self._items.truncate(event.item_id, event.content_index, event.audio_end_ms)
                fields = {"content_index": event.content_index, "audio_end_ms": event.audio_end_ms}
                await self._send_event({"type": "conversation.item.truncated", "item_id": event.item_id, **fields})
            case "conversation.item.delete":
                item_id = self._items.delete(event.item_id)
                await self._send_event({"type": "conversation.item.deleted", "item_id": item_id})
            case "response.create":
                await self._create_response(event.response)
            case "response.cancel":
                self._responses.cancel(event.response_id)
            case "output_audio_buffer.clear":
                await self._send_event({"type": "output_audio_buffer.cleared", "response_id": self._last_response})
            case _:
                return False
        return True

    def needs_words(self) -> bool:
        """True if the replier needs transcripts; always True for text replies and with tools."""
        config = self._audio_input.config
        if self._replier is None or config.type == "transcription":
            return False
        replies = config.replies
        return self._replier.needs_words or bool(replies["tools"]) or replies["output_modalities"] == ["text"]

    def add_turn(self, item_id: str) -> str | None:
        """Add the item of a turn at its commit; returns the id of the item before it."""
        transcribing = self._audio_input.config.type == "transcription"
        self._items.kept_bytes = KEPT_BYTES_OF_A_TRANSCRIPTION if transcribing else KEPT_BYTES
        return self._items.add(Item(wire.turn(item_id))).previous

    def keep_audio(self, item_id: str, pcm: bytes) -> None:
        """Store the audio of a committed turn."""
        self._items.give_sound(item_id, item_shapes.sound(pcm, self._audio_input.config.rate_hz))

    def answer(self) -> None:
        """Create a response to the turn that has just ended."""
        self._responses.answer(lambda: self._begin(response_create.automatic(self._audio_input.config.replies)))

    def interrupt(self) -> None:
        """The user speaks: cancel the active response."""
        self._responses.interrupt()

    def close(self) -> None:
        """Cancel all responses; they send no further events."""
        self._responses.close()

    async def _create_item(self, event: wire.ClientEvent) -> None:
        item = self._parse_item(event.item, "item")
        self._items.create(item, event.previous_item_id, self._audio_input.pending_item_id)
        for added in wire.item_created(item.shape, item.previous):
            await self._send_event(added)

    async def _create_response(self, response: object) -> None:
        config = self._audio_input.config
        if config.type == "transcription":
            raise wire.Rejected("invalid_value", "A transcription session has no responses.", "type")
        request = response_create.parse(response, config.replies, self._id, voice_fixed=self._audio_input.voice_fixed)
        # Handle the next client event only after response.created has been sent.
        await self._begin(request).wait()

    def _begin(self, request: response_create.ResponseRequest) -> asyncio.Event:
        input_ = None if request.input is None else [self._input(*pair) for pair in enumerate(request.input)]
        coding = audio_format.coding(request.settings.output_format)
        return self._responses.create(request.settings, input_, audio_format.encoder(coding))

    def _input(self, index: int, value: object) -> Item:
        param = f"response.input[{index}]"
        reference = item_shapes.reference(value, param)
        if reference is None:
            return self._parse_item(value, param)
        item = self._items.get(reference)
        if item is None:
            message = f"{param}: the item with id '{reference}' does not exist."
            raise wire.Rejected("item_not_found", message, f"{param}.id")
        return item

    def _parse_item(self, value: object, param: str) -> Item:
        config = self._audio_input.config

        def decode(audio: object, path: str) -> bytes:
            return audio_format.decode(audio, path, config.input_format)

        return item_shapes.parse_item(value, param, new_id, decode, config.rate_hz)

    def _encoding(self, item: Item) -> Callable[[Sound], bytes]:
        config = self._audio_input.config
        coding = config.output_format if item.is_spoken_reply else config.input_format
        return lambda sound: audio_format.encode(sound, coding)

    def _fix_voice(self) -> None:
        self._audio_input.voice_fixed = True

    async def _send_response_event(self, event: dict[str, Any]) -> None:
        if event["type"] == "response.created":
            self._last_response = event["response"]["id"]
        await self._send_event(event)
