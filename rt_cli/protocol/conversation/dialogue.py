"""A spoken conversation: takes the events of the endpoint and of the user, returns what to do. Pure.

Times are positions on the timeline of the user's sound, in samples: the clock of the conversation.

Rules, each from a defect that some client has had:

1. Late audio of an interrupted reply is dropped: otherwise the old answer starts again.
2. ``truncate`` names what was heard, never more than was received, and is sent only if something was unheard.
3. One request for a reply after all calls of a response have their outputs and the response is done; none if the user
   has gone on meanwhile.
4. A call is told of by up to three events, and runs once; also when its connection is lost.
5. On a new connection the conversation is told as items. The endpoint hears again only turns whose words are missing;
   a reply to one of them that was heard, even in part, is not given again.
6. What is reported is in the order of the items, not of arrival.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from rt_cli.audio.format import to_ms
from rt_cli.conversation_events import BargedIn, ReplyEnded
from rt_cli.events import Warned
from rt_cli.protocol.conversation.actions import (
    EVENT_IDS,
    CancelResponse,
    CreateCallOutput,
    CreateMessage,
    Emit,
    RunTool,
    Say,
    Step,
)
from rt_cli.protocol.conversation.ask import BUSY, Ask, Asks
from rt_cli.protocol.conversation.events import ConversationEvent, ResponseCreated, ResponseDone
from rt_cli.protocol.conversation.history import History, TypedLine, UserTurn
from rt_cli.protocol.conversation.order import ItemOrder, nothing
from rt_cli.protocol.conversation.playback import Playback
from rt_cli.protocol.conversation.replies import Replies
from rt_cli.protocol.conversation.user_turns import UserTurns
from rt_cli.protocol.sanitize import printable
from rt_cli.protocol.server_events import Committed, ErrorEvent, SpeechStarted, SpeechStopped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rt_cli.conversation_events import ToolCalled
    from rt_cli.events import Event, Final
    from rt_cli.protocol.conversation.reply import Reply
    from rt_cli.protocol.server_events import ErrorInfo, ServerEvent

    Measure = Callable[[Reply], Sequence[Event]]
    """Returns what was measured of a reply, for the report behind it."""

_HARMLESS = {"response_cancel_not_active", BUSY}
"""The reply had ended by itself, or the endpoint has begun one by itself."""


class Dialogue:
    """The conversation of one run, over all its connections.

    Args:
        rate_hz: Of the timeline, and of the audio of replies.
        asks: Whether each turn needs a request for a reply; False if the endpoint replies by itself.
        spoken: Whether replies are audio.
        measure: Measures a reply that has ended.
    """

    def __init__(
        self, rate_hz: int, *, asks: bool = False, spoken: bool = True, measure: Measure = lambda _reply: ()
    ) -> None:
        self.playback = Playback()
        self.replies = 0
        """Replies with words or sound."""
        self.interruptions = 0
        self.tool_calls = 0
        self.failed: list[Reply] = []
        """Replies that the endpoint failed to give, or gave in part."""
        self.refused: list[ErrorInfo] = []
        """Why the endpoint refused requests for a reply."""
        self.connected = False
        self.turn_ended_at: int | None = None
        """When the endpoint last ended a turn."""
        self._rate_hz = rate_hz
        self._asks_itself = asks
        self._measure = measure
        self._asks = Asks()
        self._history = History(self.playback)
        self._turns = UserTurns(self._history, rate_hz)
        self._replies = Replies(self.playback, rate_hz, spoken=spoken)
        self._order = ItemOrder()

    # -- state --------------------------------------------------------------------------------------------------------

    def rests(self, now: int) -> bool:
        """Return whether nothing is under way: no speech, no reply asked for, given or heard, no tool."""
        replying = any(not (reply.open and reply.interrupted) for reply in self._replies.unfinished)
        hearing = self._turns.speaking or any(turn.again for turn in self._history.turns)
        return not (replying or hearing or self._asks.pending or self.playback.sounding(now))

    def talks(self, now: int) -> bool:
        """Return whether a reply is being given or heard."""
        active = self._replies.active
        return self.playback.sounding(now) or (active is not None and active.wanted)

    @property
    def replies_begun(self) -> int:
        """Number of replies whose first sound or word has come."""
        return self._replies.begun

    @property
    def progress(self) -> int:
        """A number that grows with every reply, its audio, and every tool."""
        return self._replies.begun + self._replies.audio + self.tool_calls

    @property
    def reply_starts_at(self) -> int | None:
        """Position of the first sample of the last reply with sound; None before the first one."""
        return self._replies.starts_at

    # -- the user -----------------------------------------------------------------------------------------------------

    def type(self, text: str, now: int, said: str | None = None) -> list[Step]:
        """Take a typed line: it interrupts a reply as speech does, and is answered.

        Args:
            text: The line.
            now: The present position.
            said: Instructions for the reply to it alone.
        """
        steps = self._interrupt(now)
        line = TypedLine(text)
        told = self._history.complete and self.connected
        self._history.add(line)
        self._order.add(line)
        self._order.ready(line, nothing)
        if told:
            steps.append(Say(CreateMessage("user", text)))
        self._asks.add(Ask(said=said))
        return [*steps, *self._go_on(now)]

    # -- the connection -----------------------------------------------------------------------------------------------

    def connect(self, now: int) -> list[Step]:
        """Begin a connection whose session is configured: tell it what was said so far."""
        self.connected = True
        return self._go_on(now)

    def disconnect(self, now: int) -> list[Step]:
        """Note that the connection is gone. What was received of a reply is still played; it is not given again."""
        self.connected = False
        asks = self._asks.take_all()
        active = self._replies.lost()
        if active is not None and not active.began:
            self._drop(active)
            asks += [active.ask] if active.wanted else []
        for ask in asks:
            self._ask_again(ask)
        self._history.lost()
        self._turns.lost()
        return self._finish(now)

    def _ask_again(self, ask: Ask) -> None:
        """Ask the next connection, unless it hears the turn itself, which asks then."""
        if ask.of_turn and any(isinstance(turn, UserTurn) and not turn.ended for turn in ask.turns):
            return
        self._asks.add(Ask(ask.turns, of_turn=ask.of_turn, said=ask.said))

    def close(self, now: int) -> list[Step]:
        """End the conversation: report everything that is not reported yet."""
        for reply in list(self._replies.unfinished):
            if reply.status is None:
                reply.cut()
            self._report(reply, now)
        return [Emit(event) for event in self._order.take_all()]

    # -- events -------------------------------------------------------------------------------------------------------

    def receive(self, event: ServerEvent, now: int, at: int | None = None) -> list[Step]:
        """Apply an event of the endpoint.

        Args:
            event: The event.
            now: The present position.
            at: The position that a ``SpeechStarted`` or ``SpeechStopped`` names; None if it names none.
        """
        return [*self._receive(event, now, at), *self._go_on(now)]

    def _receive(self, event: ServerEvent, now: int, at: int | None) -> list[Step]:
        match event:
            case SpeechStarted(item_id):
                again = self._turns.sent_again(at)
                self._turns.started(item_id, at)
                return [] if again else self._interrupt(now)
            case SpeechStopped(item_id):
                self._turns.stopped(item_id, at)
                self.turn_ended_at = now
            case Committed(item_id):
                self._commit(item_id, now)
            case ResponseCreated(response_id):
                return self._create(response_id, now)
            case ResponseDone():
                return self._done(event)
            case _ if isinstance(event, ConversationEvent):
                return self._noting_calls(self._replies.receive(event, now))
        return []

    def takes(self, event: ServerEvent) -> bool:
        """Return whether an error is the answer to an event of this conversation, and nobody else's."""
        if not isinstance(event, ErrorEvent):
            return False
        if (event.error.event_id or "").startswith(EVENT_IDS):
            return True
        # Some servers have the code in the type, and do not repeat our id.
        return not _HARMLESS.isdisjoint((event.error.code, event.error.type))

    def refuse(self, error: ErrorInfo, now: int) -> list[Step]:
        """Take an error of :meth:`takes`: a refused request for a reply is reported, or sent again."""
        ask = self._asks.refused(error.event_id, busy=BUSY in (error.code, error.type))
        steps: list[Step] = []
        if ask is not None:
            self.refused.append(error)
            said = printable(error.message or error.code)
            steps.append(Emit(Warned("reply_refused", f"the endpoint refuses to reply: {said}")))
        return [*steps, *self._go_on(now)]

    def turn_ended(self, item_ids: frozenset[str], number: int | None, text: str) -> list[Step]:
        """Note that a turn has its words, or will have none; its number is None then."""
        if self._turns.stopped_last and self._turns.last_stopped in item_ids:
            self._commit(self._turns.last_stopped, 0)  # an endpoint without commits
        turn, new = self._turns.ended(item_ids, number, text)
        if new:
            self._order.add(turn)
        if number is None:
            self._order.ready(turn, nothing)
        return self._emit()

    def report_final(self, final: Final) -> list[Step]:
        """Report the words of a turn, when everything before it is reported."""
        turn = next((turn for turn in reversed(self._history.turns) if turn.number == final.turn), None)
        if turn is None:
            return [Emit(final)]
        self._order.ready(turn, lambda: (final,))
        return self._emit()

    def tick(self, now: int) -> list[Step]:
        """Note that time has passed: replies come to their end."""
        return self._go_on(now) if self._replies.unfinished else []

    # -- tools --------------------------------------------------------------------------------------------------------

    def tool_ended(self, call_id: str, output: str, called: ToolCalled, now: int) -> list[Step]:
        """Take the output of a tool, and report it."""
        reply = next((reply for reply in self._replies.unfinished if call_id in reply.calls), None)
        if reply is None or reply.calls[call_id].output is not None:
            return []
        reply.calls[call_id].output = output
        self.tool_calls += 1
        self._order.ready(call_id, lambda: (called,))
        steps: list[Step] = []
        if self.connected and self._history.knows(reply):
            steps.append(Say(CreateCallOutput(call_id, output)))
        return [*steps, *self._go_on(now)]

    # -- replies ------------------------------------------------------------------------------------------------------

    def _commit(self, item_id: str | None, now: int) -> None:
        if not self._turns.stopped_last:
            self.turn_ended_at = now
        turn, others, new = self._turns.committed(item_id)
        if new:
            self._order.add(turn)
        for other in others:
            self._order.ready(other, nothing)
        if self._asks_itself and turn.answered:
            return
        self._ask_for(turn)

    def _ask_for(self, turn: UserTurn) -> None:
        if not turn.asked:
            turn.asked = True
            self._asks.add(Ask((turn,), of_turn=True, automatic=not self._asks_itself))

    def _create(self, response_id: str | None, now: int) -> list[Step]:
        if self._replies.known(response_id):
            return []
        if self._turns.stopped_last and not self._asks_itself and not self._asks.pending:
            self._commit(self._turns.last_stopped, now)  # an endpoint without commits
        reply = self._replies.create(response_id, self._asks.answered() or Ask(), now)
        reply.turn_ended_at = self.turn_ended_at
        if not reply.muted:
            self._history.add(reply)
            self._order.add(reply)
        return [] if reply.wanted else [Say(CancelResponse(response_id))]

    def _noting_calls(self, steps: list[Step]) -> list[Step]:
        """Give each call its place among the items."""
        for step in steps:
            if isinstance(step, RunTool):
                self._order.add(step.call_id)
        return steps

    def _done(self, event: ResponseDone) -> list[Step]:
        reply, steps = self._replies.end(event)
        if reply is not None and reply.muted:
            self._drop(reply)
        return self._noting_calls(steps)

    def _drop(self, reply: Reply) -> None:
        """Forget a reply of which nobody is told."""
        self._replies.unfinished.remove(reply)
        self._history.remove(reply)
        self._order.ready(reply, nothing)

    # -- interruption -------------------------------------------------------------------------------------------------

    def _interrupt(self, now: int) -> list[Step]:
        """Stop what is being said: the user speaks."""
        stopped, steps, truncated_ms = self._replies.stop(now)
        self._asks.supersede()
        self.interruptions += bool(stopped)
        barge_in = BargedIn(to_ms(now, self._rate_hz), truncated_ms)
        for reply in stopped:
            self._report(reply, now, *([barge_in] if reply is stopped[0] else []))
        return steps

    # -- going on -----------------------------------------------------------------------------------------------------

    def _go_on(self, now: int) -> list[Step]:
        """Tell the connection what it does not know, finish what has ended, and ask for the next reply."""
        steps: list[Step] = []
        if self.connected:
            steps += [Say(action) for action in self._history.tell(now)]
        steps += self._finish(now)
        if self.connected and self._replies.active is None and self._history.complete:
            request = self._asks.next()
            if request is not None:
                steps.append(Say(request))
        return steps

    def _finish(self, now: int) -> list[Step]:
        for reply in [reply for reply in self._replies.unfinished if not reply.open]:
            if reply.calls and not reply.calls_pending and not reply.continued:
                reply.continued = True
                if not reply.superseded and reply.wanted:
                    self._asks.add(Ask(reply.ask.turns))
            if self._replies.heard(reply, now):
                self._report(reply, now)
                if not reply.calls_pending:
                    self._replies.unfinished.remove(reply)
        return self._emit()

    def _report(self, reply: Reply, now: int, *more: Event) -> None:
        if reply.reported or reply.muted:
            return
        reply.reported = True
        if reply.status in {"failed", "incomplete"} and not reply.interrupted:
            self.failed.append(reply)
        if not reply.messages and reply.calls:
            self._order.ready(reply, partial(tuple, more))
            return
        self.replies += 1
        status = reply.status or "cancelled"
        text = printable(reply.heard_text(self.playback, now))
        audio_ms, played_ms = (
            to_ms(samples, self._rate_hz) for samples in (reply.audio, reply.played(self.playback, now))
        )

        def events() -> list[Event]:
            ended = ReplyEnded(number_of(reply), text, audio_ms, played_ms, status, reply.interrupted)
            return [ended, *self._measure(reply), *more]

        self._order.ready(reply, events)

    def _emit(self) -> list[Step]:
        return [Emit(event) for event in self._order.take()]


def number_of(reply: Reply) -> int | None:
    """Return the number of the turn that a reply answers; None if it answers no spoken turn."""
    numbers = [turn.number for turn in reply.ask.turns if isinstance(turn, UserTurn) and turn.number is not None]
    return numbers[-1] if numbers else None
