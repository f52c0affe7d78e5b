"""Active responses: run the replier, send its events in order, cancel on speech or on the client's request."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from rt_cli.server.replies.interface import OUTPUT_RATE_HZ, Part, Replier, ReplyFailed, ReplyRequest
from rt_cli.server.session.conversation.items import CONTEXT_TOKENS, Item, Items, Tokens, context, text_tokens
from rt_cli.server.session.conversation.response import Encoder, Response, ResponseSettings
from rt_cli.server.session.wire import Rejected

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from rt_cli.server.session.wire import Event

T = TypeVar("T")

MAX_OUT_OF_BAND = 8
"""Most out-of-band responses in progress at once."""


@dataclass(frozen=True, slots=True)
class Host:
    """The session's functions that responses use."""

    replier: Replier | None
    """None: every response completes without output."""
    items: Items
    conversation_id: str
    send_event: Callable[[Event], Awaitable[None]]
    """Sends an event; waits while the client reads slowly."""
    wait_final: Callable[[Iterable[str]], Awaitable[None]]
    """Waits until the transcripts of these items are final."""
    notify: Callable[..., None]
    on_begin: Callable[[], None]
    """Called when a response of the conversation begins."""
    on_audio: Callable[[], None]
    """Called before the client gets audio of the assistant."""
    on_end: Callable[[float], None]
    """Called when the conversation's response is done, with the seconds of audio that are not played yet."""
    new_id: Callable[[str], str]


class Responses:
    """The active responses of a session: at most one in the conversation, several out of band.

    Args:
        host: Functions of the session.
        group: Parent of the tasks.
    """

    def __init__(self, host: Host, group: asyncio.TaskGroup) -> None:
        self._host = host
        self._group = group
        self._active: _Reply | None = None
        self._out_of_band: dict[str, _Reply] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._next_turn: Callable[[], object] | None = None

    def create(self, settings: ResponseSettings, input_: Sequence[Item] | None, encoder: Encoder) -> asyncio.Event:
        """Start a response.

        Args:
            settings: Effective settings.
            input_: Context; None: the items of the conversation.
            encoder: Encodes its audio.

        Returns:
            An event that is set after ``response.created`` has been sent.

        Raises:
            Rejected: The conversation has an active response, or too many out-of-band responses are in progress.
        """
        if settings.in_conversation and self._active is not None:
            active = self._active.response.id
            message = f"Conversation already has an active response in progress: {active}. Wait until it is done."
            raise Rejected("conversation_already_has_active_response", message)
        if not settings.in_conversation and len(self._out_of_band) >= MAX_OUT_OF_BAND:
            message = f"{MAX_OUT_OF_BAND} responses are in progress beside the conversation."
            raise Rejected("rate_limit_exceeded", message)
        reply = _Reply(self._host, settings, input_, encoder, self._release)
        if settings.in_conversation:
            self._active = reply
            self._host.on_begin()
        else:
            self._out_of_band[reply.response.id] = reply
        task = self._group.create_task(reply.run(), name=f"reply {reply.response.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return reply.announced

    def answer(self, begin: Callable[[], object]) -> None:
        """Answer a turn now, or when the active response is done. A newer turn replaces a waiting one."""
        if self._active is None:
            begin()
        else:
            self._next_turn = begin

    def interrupt(self) -> None:
        """The user speaks: cancel the conversation's response."""
        self._next_turn = None
        if self._active is not None:
            self._active.stop("turn_detected")

    def cancel(self, response_id: object) -> None:
        """Cancel a response for the client.

        Args:
            response_id: Id of the response; not a string: the conversation's response.

        Raises:
            Rejected: The response is not in progress.
        """
        active = {self._active.response.id: self._active} if self._active is not None else {}
        known = {**self._out_of_band, **active}
        reply = known.get(response_id) if isinstance(response_id, str) else self._active
        if reply is None:
            raise Rejected("response_cancel_not_active", "Cancellation failed: no active response found")
        reply.stop("client_cancelled")

    def close(self) -> None:
        """Cancel all responses; they send no further events."""
        self._next_turn = None
        for task in self._tasks:
            task.cancel()

    def _release(self, response: Response) -> None:
        """Called before ``response.done`` is sent, so that the client can create the next response at once."""
        self._out_of_band.pop(response.id, None)
        if self._active is not None and self._active.response is response:
            unplayed_s, self._active = self._active.unplayed_s(), None
            self._host.on_end(unplayed_s)
            begin, self._next_turn = self._next_turn, None
            if begin is not None:
                begin()


class _Reply:
    """One response in progress. A single task sends all of its events, so that their order is right."""

    def __init__(
        self,
        host: Host,
        settings: ResponseSettings,
        input_: Sequence[Item] | None,
        encoder: Encoder,
        release: Callable[[Response], None],
    ) -> None:
        self.announced = asyncio.Event()
        self._host = host
        self._settings = settings
        # A copy: items that are added later belong to the next response.
        self._input = list(host.items if input_ is None else input_)
        self._release = release
        self._reason: str | None = None
        self._work: asyncio.Task[Any] | None = None
        self._audio_since: float | None = None
        input_tokens = Tokens(text_tokens(len(settings.instructions or "")))
        for item in self._context():
            input_tokens += item.tokens()
        self.response = Response(settings, host.items, host.conversation_id, input_tokens, host.new_id, encoder)

    def stop(self, reason: str) -> None:
        """Cancel the current wait; run() then sends the last events and no further part of the reply."""
        if self._reason is None:
            self._reason = reason
            if self._work is not None:
                self._work.cancel()

    def unplayed_s(self) -> float:
        """Seconds of audio that are not played yet, if the client plays audio as it arrives."""
        if self._audio_since is None or self._reason is not None:
            return 0.0
        since = asyncio.get_running_loop().time() - self._audio_since
        return max(0.0, self.response.audio_samples / OUTPUT_RATE_HZ - since)

    async def run(self) -> None:
        """Send all events of the response. Cancellation stops the replier and sends nothing more."""
        try:
            await self._send_events(self.response.begin())
        finally:
            self.announced.set()
        try:
            await self._run_replier()
        except ReplyFailed as failure:
            await self._end("failed", error=str(failure))
        except Exception as exc:  # noqa: BLE001 - a reply that breaks must not end the session
            self._host.notify("warning", message=f"a reply failed, which is a bug: {exc!r}")
            await self._end("failed", error="The reply failed inside the server.")
        else:
            await self._end("completed")

    async def _run_replier(self) -> None:
        replier = self._host.replier
        if replier is None:
            return
        if replier.needs_words or self._settings.tools or not self._settings.with_audio:
            await self._unless_stopped(lambda: self._host.wait_final([item.id for item in self._context()]))
        if self._reason is not None:
            return
        async with aclosing(replier.reply(self._request())) as parts:
            while not self.response.finished:
                part: Part | None = await self._unless_stopped(lambda: anext(parts, None))
                if part is None:
                    return
                await self._send_events(self.response.take(part))

    async def _unless_stopped(self, awaitable: Callable[[], Awaitable[T]]) -> T | None:
        """Await and return the result; None if :meth:`stop` came first, which cancels the wait."""

        async def wait() -> T:
            return await awaitable()

        if self._reason is not None:
            return None
        self._work = task = asyncio.ensure_future(wait())
        try:
            return await task
        except asyncio.CancelledError:
            outer = asyncio.current_task()
            if self._reason is None or (outer is not None and outer.cancelling()):
                raise
            return None
        finally:
            self._work = None

    async def _end(self, status: Any, error: str | None = None) -> None:
        if self._reason is not None:
            await self._send_events(self.response.finish("cancelled", self._reason))
        else:
            await self._send_events(self.response.finish(status, error=error))
        await self._host.send_event(self.response.rate_limits())

    async def _send_events(self, events: list[Event]) -> None:
        for event in events:
            if event["type"] == "response.output_audio.delta":
                self._audio_since = self._audio_since or asyncio.get_running_loop().time()
                self._host.on_audio()
            if event["type"] == "response.done":
                self._release(self.response)
                self._notify()
            await self._host.send_event(event)

    def _notify(self) -> None:
        response = self.response
        self._host.notify(
            "response",
            response=response.id,
            status=response.status,
            reason=self._reason,
            audio_ms=response.audio_samples * 1000 // OUTPUT_RATE_HZ,
        )

    def _context(self) -> list[Item]:
        return context(self._input, CONTEXT_TOKENS)

    def _request(self) -> ReplyRequest:
        items, settings = self._context(), self._settings
        last = next((item for item in reversed(items) if item.shape.get("role") == "user"), None)
        sound = next(iter(last.sounds.values()), None) if last is not None else None
        return ReplyRequest(
            items=[item.context() for item in items],
            instructions=settings.instructions,
            tools=settings.tools,
            tool_choice=settings.tool_choice,
            with_audio=settings.with_audio,
            audio=bytes(sound.pcm) if sound is not None else b"",
            audio_rate_hz=sound.rate_hz if sound is not None else OUTPUT_RATE_HZ,
            voice=settings.voice,
            speed=settings.speed,
            max_output_tokens=settings.max_output_tokens,
        )
