"""The replies of one conversation: which event is about which, what of it counts, how one is stopped. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.audio.format import BYTES_PER_SAMPLE, to_ms
from rt_cli.events import Warned
from rt_cli.protocol.conversation.actions import CancelResponse, DeleteItem, Emit, RunTool, Say, Step, TruncateItem
from rt_cli.protocol.conversation.events import (
    AudioDelta,
    CallArguments,
    ConversationEvent,
    OutputItem,
    OutputItemAdded,
    OutputItemDone,
    ReplyDelta,
    ReplyText,
    ResponseDone,
)
from rt_cli.protocol.conversation.history import UserTurn
from rt_cli.protocol.conversation.reply import MAX_UNHEARD_BYTES, Reply
from rt_cli.protocol.sanitize import printable

if TYPE_CHECKING:
    from rt_cli.protocol.conversation.ask import Ask
    from rt_cli.protocol.conversation.playback import Playback

_REMEMBERED = 256
"""Replies of a connection whose late events are told from those of nobody."""


class Replies:
    """The replies that have not ended, and those of this connection.

    Args:
        playback: Plays their audio.
        rate_hz: Of the timeline.
        spoken: Whether replies are audio.
    """

    def __init__(self, playback: Playback, rate_hz: int, *, spoken: bool) -> None:
        self.active: Reply | None = None
        """The reply that the endpoint is giving."""
        self.unfinished: list[Reply] = []
        """Replies that the endpoint gives, that sound, or that wait for their tools."""
        self.begun = 0
        """Number of replies whose first sound or word has come."""
        self.audio = 0
        """Samples received of all replies."""
        self.starts_at: int | None = None
        """Timeline position of the first sample of the last reply with sound; None before the first one."""
        self._playback = playback
        self._rate_hz = rate_hz
        self._spoken = spoken
        self._of_connection: dict[str, Reply] = {}
        self._last: dict[type, AudioDelta | ReplyDelta] = {}
        """The last delta of each kind."""

    def create(self, response_id: str | None, ask: Ask, now: int) -> Reply:
        """Begin a reply. One to turns that all have been answered, on an earlier connection, is muted."""
        if self.active is not None and self.active.interrupted:
            self.active.status = self.active.status or "cancelled"  # the endpoint did not tell of its end
        reply = self.active = Reply(response_id, ask, spoken=self._spoken)
        reply.created_at = now
        turns = [turn for turn in ask.turns if isinstance(turn, UserTurn)]
        reply.muted = ask.automatic and bool(turns) and all(turn.answered for turn in turns)
        reply.interrupted = ask.superseded
        self._of_connection[response_id or ""] = reply
        if len(self._of_connection) > _REMEMBERED:
            del self._of_connection[next(iter(self._of_connection))]
        self.unfinished.append(reply)
        return reply

    def known(self, response_id: str | None) -> bool:
        """Return whether a reply of this connection has this id."""
        return response_id is not None and response_id in self._of_connection

    def lost(self) -> Reply | None:
        """Note that the connection is gone; return the reply that it was giving."""
        active, self.active = self.active, None
        if active is not None:
            active.cut()
        for reply in self._of_connection.values():
            reply.gone = True
        self._of_connection.clear()
        return active

    def receive(self, event: ConversationEvent, now: int) -> list[Step]:
        """Apply an event about the content of a reply. What is too late to be heard is dropped."""
        match event:
            case OutputItemAdded(response_id, item):
                reply = self._find(response_id, item.id)
                if reply is not None:
                    reply.note_item(item.id)
            case OutputItemDone(response_id, item):
                return self._complete(self._find(response_id, item.id), item)
            case CallArguments(response_id, item_id, call_id, name, arguments):
                call = OutputItem(item_id, "function_call", call_id=call_id, name=name, arguments=arguments)
                return self._complete(self._find(response_id, item_id), call)
            case AudioDelta() | ReplyDelta():
                return [] if self._repeats(event) else self._add(event, now)
            case ReplyText(response_id, item_id, index, text):
                if (reply := self._speaker(response_id, item_id)) is not None:
                    reply.set_text(item_id, index, text)
        return []

    def end(self, event: ResponseDone) -> tuple[Reply | None, list[Step]]:
        """Note the end of a reply; return it, or None if it had ended, and what follows."""
        reply = self._find(event.response_id, None)
        if reply is None or not reply.open:
            return None, []
        steps: list[Step] = []
        for item in event.items:
            steps += self._complete(reply, item)
        reply.status, reply.code, reply.message = event.status, event.code, event.message
        if self.active is reply:
            self.active = None
        if not reply.begun and reply.wanted and reply.messages:
            reply.begun = True
            self.begun += 1
        if reply.muted:
            steps += [Say(DeleteItem(item_id)) for item_id in reply.item_ids]
        elif event.status in {"failed", "incomplete"} and not reply.interrupted:
            said = printable(event.message or event.code or event.reason or event.status)
            steps.append(Emit(Warned("reply_failed", f"the endpoint did not complete a reply: {said}")))
        return reply, steps

    def stop(self, now: int) -> tuple[list[Reply], list[Step], int | None]:
        """Stop what is being given or heard.

        Returns:
            The stopped replies; what to tell the endpoint; how many ms of the first truncated message were heard.
        """
        steps: list[Step] = []
        truncated: list[int] = []
        stopped = [reply for reply in self.unfinished if self._can_stop(reply, now)]
        for reply in stopped:
            steps += self._truncate(reply, now, truncated)
            if reply.open:
                steps.append(Say(CancelResponse(reply.response_id)))
            reply.interrupted = True
            _mark_turns(reply)
        for reply in self.unfinished:
            reply.superseded = True
        self._playback.stop(now)
        return stopped, steps, truncated[0] if truncated else None

    def heard(self, reply: Reply, now: int) -> bool:
        """Return whether nothing more of a reply will sound."""
        return reply.interrupted or reply.played(self._playback, now) >= reply.audio

    def _find(self, response_id: str | None, item_id: str | None) -> Reply | None:
        """Return the reply that an event is about; None for one of an earlier connection, or of nobody."""
        if response_id is not None:
            return self._of_connection.get(response_id)
        replies = self._of_connection.values()
        owners = (reply for reply in replies if item_id is not None and item_id in reply.item_ids)
        return next(owners, self.active)

    def _repeats(self, event: AudioDelta | ReplyDelta) -> bool:
        """Return whether an event is the one before it, delivered twice. One without an id may be said twice."""
        before, self._last[type(event)] = self._last.get(type(event)), event
        return event.event_id is not None and event == before

    def _speaker(self, response_id: str | None, item_id: str | None) -> Reply | None:
        """Return the reply of a delta, which may come behind its end; None if it is not to be heard."""
        reply = self._find(response_id, item_id)
        return reply if reply is not None and reply.wanted else None

    def _add(self, event: AudioDelta | ReplyDelta, now: int) -> list[Step]:
        if isinstance(event, AudioDelta):
            return self._play(event, now)
        if (reply := self._speaker(event.response_id, event.item_id)) is not None and reply.open:
            reply.add_text(event.item_id, event.content_index, event.delta)
            self._note_begin(reply)
        return []

    def _play(self, event: AudioDelta, now: int) -> list[Step]:
        reply = self._speaker(event.response_id, event.item_id)
        if reply is None or not event.pcm:
            return []
        if reply.reported:
            return [Emit(Warned("late_audio", "sound of a reply came after its end, and is dropped"))]
        self.audio += len(event.pcm) // BYTES_PER_SAMPLE
        content = reply.add_audio(event.item_id, event.content_index, event.pcm)
        start = self._playback.add(content, event.pcm, now)
        if reply.starts_at is None:
            reply.starts_at = start
        self._note_begin(reply)
        if (self._playback.end - now) * BYTES_PER_SAMPLE <= MAX_UNHEARD_BYTES:
            return []
        reply.interrupted = True
        warning = Warned("reply_too_long", "a reply of more than 20 minutes is cut off")
        return [Emit(warning), Say(CancelResponse(reply.response_id))]

    def _complete(self, reply: Reply | None, item: OutputItem) -> list[Step]:
        if reply is None or not reply.wanted:
            return []
        if item.kind != "function_call":
            reply.finish(item)
            self._note_begin(reply)
            return []
        call = reply.add_call(item)
        self._note_begin(reply)
        return [] if call is None else [RunTool(call.call_id, call.name, call.arguments)]

    def _note_begin(self, reply: Reply) -> None:
        if not reply.begun and reply.began:
            reply.begun = True
            self.begun += 1
            _mark_turns(reply)
        if reply.starts_at is not None:
            self.starts_at = reply.starts_at

    def _can_stop(self, reply: Reply, now: int) -> bool:
        return reply.wanted and (reply.open or reply.played(self._playback, now) < reply.audio)

    def _truncate(self, reply: Reply, now: int, truncated: list[int]) -> list[Step]:
        steps: list[Step] = []
        for item_id, index in reply.contents():
            played = self._playback.played((item_id, index), now)
            if played < reply.messages[item_id].audio[index]:
                end_ms = to_ms(played, self._rate_hz)
                truncated.append(end_ms)
                if item_id and not reply.gone:
                    steps.append(Say(TruncateItem(item_id, index, end_ms)))
        return steps


def _mark_turns(reply: Reply) -> None:
    for turn in reply.ask.turns:
        if isinstance(turn, UserTurn):
            turn.answered = True
