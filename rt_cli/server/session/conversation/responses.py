"""Responses under way: repliers run, what they say is told in order, and speech or the client stops them at once."""

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
"""Responses beside the default conversation's that may be under way at once."""


@dataclass(frozen=True, slots=True)
class Host:
    """What replies need of their session."""

    replier: Replier | None
    """None: every response is completed without output."""
    items: Items
    conversation_id: str
    tell: Callable[[Event], Awaitable[None]]
    """Sends an event; waits for a client that is slow to read."""
    settled: Callable[[Iterable[str]], Awaitable[None]]
    """Waits until the words of these items are final."""
    note: Callable[..., None]
    began: Callable[[], None]
    """The conversation has a response under way."""
    heard: Callable[[], None]
    """The client gets audio of the assistant."""
    ended: Callable[[float], None]
    """The conversation's response is done, and so many seconds of its audio are still to be played."""
    new_id: Callable[[str], str]


class Responses:
    """The responses of a session: one at a time in its conversation, others beside it.

    Args:
        host: The session.
        group: Parent of the tasks.
    """

    def __init__(self, host: Host, group: asyncio.TaskGroup) -> None:
        self._host = host
        self._group = group
        self._active: _Reply | None = None
        self._beside: dict[str, _Reply] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._next: Callable[[], object] | None = None

    def create(self, settings: ResponseSettings, input_: Sequence[Item] | None, encoder: Encoder) -> asyncio.Event:
        """Begin a response. What is returned is set once the client has been told of it.

        Args:
            settings: What it is to be.
            input_: What it answers; None: the conversation.
            encoder: For its audio.

        Raises:
            Rejected: The conversation has one under way, or too many are beside it.
        """
        if settings.in_conversation and self._active is not None:
            active = self._active.response.id
            message = f"Conversation already has an active response in progress: {active}. Wait until it is done."
            raise Rejected("conversation_already_has_active_response", message)
        if not settings.in_conversation and len(self._beside) >= MAX_OUT_OF_BAND:
            message = f"{MAX_OUT_OF_BAND} responses are in progress beside the conversation."
            raise Rejected("rate_limit_exceeded", message)
        reply = _Reply(self._host, settings, input_, encoder, self._release)
        if settings.in_conversation:
            self._active = reply
            self._host.began()
        else:
            self._beside[reply.response.id] = reply
        task = self._group.create_task(reply.run(), name=f"reply {reply.response.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return reply.begun

    def answer(self, begin: Callable[[], object]) -> None:
        """Answer a turn as soon as nothing else is being answered; a newer turn takes its place."""
        if self._active is None:
            begin()
        else:
            self._next = begin

    def interrupt(self) -> None:
        """Somebody speaks: the conversation's response ends."""
        self._next = None
        if self._active is not None:
            self._active.stop("turn_detected")

    def cancel(self, response_id: object) -> None:
        """End a response because the client says so.

        Args:
            response_id: Where it is no string, the conversation's is meant.

        Raises:
            Rejected: It is not under way.
        """
        active = {self._active.response.id: self._active} if self._active is not None else {}
        known = {**self._beside, **active}
        reply = known.get(response_id) if isinstance(response_id, str) else self._active
        if reply is None:
            raise Rejected("response_cancel_not_active", "Cancellation failed: no active response found")
        reply.stop("client_cancelled")

    def close(self) -> None:
        """End everything; nothing more is told."""
        self._next = None
        for task in self._tasks:
            task.cancel()

    def _release(self, response: Response) -> None:
        """A response is done: the client may create the next one as soon as it is told."""
        self._beside.pop(response.id, None)
        if self._active is not None and self._active.response is response:
            playing, self._active = self._active.unplayed_s(), None
            self._host.ended(playing)
            begin, self._next = self._next, None
            if begin is not None:
                begin()


class _Reply:
    """One response on its way. One task tells all its events, so that their order is theirs."""

    def __init__(
        self,
        host: Host,
        settings: ResponseSettings,
        input_: Sequence[Item] | None,
        encoder: Encoder,
        release: Callable[[Response], None],
    ) -> None:
        self.begun = asyncio.Event()
        self._host = host
        self._settings = settings
        # What is put into the conversation from now on is for the next one.
        self._input = list(host.items if input_ is None else input_)
        self._release = release
        self._reason: str | None = None
        self._work: asyncio.Task[Any] | None = None
        self._heard_at: float | None = None
        read = Tokens(text_tokens(len(settings.instructions or "")))
        for item in self._context():
            read += item.tokens()
        self.response = Response(settings, host.items, host.conversation_id, read, host.new_id, encoder)

    def stop(self, reason: str) -> None:
        """Whatever it waits for ends now; the last events follow, and nothing more of the reply."""
        if self._reason is None:
            self._reason = reason
            if self._work is not None:
                self._work.cancel()

    def unplayed_s(self) -> float:
        """How much of its audio a client that plays it as it comes has still to play."""
        if self._heard_at is None or self._reason is not None:
            return 0.0
        since = asyncio.get_running_loop().time() - self._heard_at
        return max(0.0, self.response.audio_samples / OUTPUT_RATE_HZ - since)

    async def run(self) -> None:
        """Tell all of it. Cancelled, it stops the replier and tells nothing more."""
        try:
            await self._tell(self.response.begin())
        finally:
            self.begun.set()
        try:
            await self._speak()
        except ReplyFailed as failure:
            await self._end("failed", error=str(failure))
        else:
            await self._end("completed")

    async def _speak(self) -> None:
        replier = self._host.replier
        if replier is None:
            return
        if replier.needs_words or not self._settings.spoken:
            await self._unless_stopped(lambda: self._host.settled([item.id for item in self._context()]))
        if self._reason is not None:
            return
        async with aclosing(replier.reply(self._request())) as parts:
            while not self.response.finished:
                part: Part | None = await self._unless_stopped(lambda: anext(parts, None))
                if part is None:
                    return
                await self._tell(self.response.take(part))

    async def _unless_stopped(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """The work's result; None where :meth:`stop` came first, which cancels it."""

        async def wait() -> T:
            return await work()

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
            await self._tell(self.response.finish("cancelled", self._reason))
        else:
            await self._tell(self.response.finish(status, error=error))
        await self._host.tell(self.response.rate_limits())

    async def _tell(self, events: list[Event]) -> None:
        for event in events:
            if event["type"] == "response.output_audio.delta":
                self._heard_at = self._heard_at or asyncio.get_running_loop().time()
                self._host.heard()
            if event["type"] == "response.done":
                self._release(self.response)
                self._note()
            await self._host.tell(event)

    def _note(self) -> None:
        response = self.response
        self._host.note(
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
            spoken=settings.spoken,
            heard=bytes(sound.pcm) if sound is not None else b"",
            heard_rate_hz=sound.rate_hz if sound is not None else OUTPUT_RATE_HZ,
            voice=settings.voice,
            speed=settings.speed,
            max_output_tokens=settings.max_output_tokens,
        )
