"""The conversation of a run: passes what happens to the dialogue, and carries out its steps."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from typing import TYPE_CHECKING

from msgspec.structs import replace

from rt_cli.audio.format import to_ms, to_samples
from rt_cli.conversation_events import LatencyMeasured
from rt_cli.events import Final, SessionChanged, SpeechBegan, SpeechEnded, Summary
from rt_cli.protocol.conversation.actions import Emit, RunTool, Say
from rt_cli.protocol.conversation.dialogue import Dialogue, number_of
from rt_cli.protocol.conversation.events import ConversationEvent
from rt_cli.protocol.server_events import Committed, ErrorEvent, SpeechStarted, SpeechStopped
from rt_cli.talk.reply_sound import ReplySound
from rt_cli.talk.user.loudness import first_sound

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rt_cli.conversation_events import ToolCalled
    from rt_cli.events import Event, EventHandler
    from rt_cli.protocol.conversation.actions import Action, Step
    from rt_cli.protocol.conversation.playback import Heard
    from rt_cli.protocol.conversation.reply import Reply
    from rt_cli.protocol.dialects.dialect import SessionRequest
    from rt_cli.protocol.server_events import ServerEvent
    from rt_cli.talk.position import Position

    RunTools = Callable[[RunTool], None]
    OnHeard = Callable[[Sequence[Heard], int], None]

TICK_S = 0.02
_REMEMBERED_SOUNDS = 10_000


class Partner:
    """The endpoint as the user hears it. Implements the hooks of the connections and the view of a scripted user.

    Args:
        position: The clock of the conversation.
        on_event: Receives the events of the run, in the order of the items.
        session: What the endpoint is asked for.
        run_tool: Starts a tool; its output comes back by :meth:`tool_ended`.
        on_heard: Receives the audio that has sounded, and the position up to which that is all.
        speech_end_before: Returns where the user's last speech before a position ended, None if unknown.
    """

    def __init__(
        self,
        position: Position,
        on_event: EventHandler,
        session: SessionRequest,
        *,
        run_tool: RunTools,
        on_heard: OnHeard = lambda _heard, _upto: None,
        speech_end_before: Callable[[int], int | None] = lambda _at: None,
    ) -> None:
        self.ready = asyncio.Event()
        """A connection is ready, for the first time."""
        self.news_at = 0
        self.dialogue = Dialogue(position.rate_hz, asks=session.asks, spoken=session.spoken, measure=self._measure)
        self._own_turns = session.turns == "client"
        self._sound = ReplySound(session.reply_rate_hz or position.rate_hz, position.rate_hz)
        self._position = position
        self._on_event = on_event
        self._run_tool = run_tool
        self._on_heard = on_heard
        self._speech_end_before = speech_end_before
        self._say: Callable[[Action], None] | None = None
        self._sounds: list[int] = []
        """Positions of the first sound of each piece that was heard."""

    # -- hooks of the connections -------------------------------------------------------------------------------------

    def connected(self, say: Callable[[Action], None]) -> None:
        """Begin to use a connection."""
        self._say = say
        self.ready.set()
        self._do(self.dialogue.connect(self._now()))

    def lost(self) -> None:
        """Stop using it."""
        self._say = None
        self._sound.lost()
        self._do(self.dialogue.disconnect(self._now()))

    def takes(self, event: ServerEvent) -> bool:
        """Return whether an event answers a client event of the conversation."""
        return self.dialogue.takes(event)

    def receive(self, event: ServerEvent, at: int | None) -> None:
        """Handle an event of the endpoint."""
        now = self._now()
        if isinstance(event, ErrorEvent):
            if self.takes(event):
                self._do(self.dialogue.refuse(event.error, now))
            return
        if isinstance(event, ConversationEvent | SpeechStopped | Committed):
            self.news_at = now
        for each in self._sound.converted(event):
            self._do(self.dialogue.receive(each, now, at))

    def turn_ended(self, item_ids: frozenset[str], number: int | None, text: str) -> None:
        """Note that a turn of the user is finished."""
        self._do(self.dialogue.turn_ended(item_ids, number, text))

    @property
    def progress(self) -> int:
        """A number that grows with every reply, its audio, and every tool."""
        return self.dialogue.progress

    @property
    def may_end(self) -> bool:
        """Whether a connection can end here without cutting a reply."""
        return self.dialogue.rests(self._position.now())

    # -- the user -----------------------------------------------------------------------------------------------------

    def rests(self, now: int) -> bool:
        """Return whether nobody speaks or is about to."""
        return self.dialogue.rests(now)

    @property
    def replies_begun(self) -> int:
        """Number of replies whose first sound or word has come."""
        return self.dialogue.replies_begun

    @property
    def reply_starts_at(self) -> int | None:
        """Position of the first sample of the last reply with sound; None before the first one."""
        return self.dialogue.reply_starts_at

    def type(self, text: str, said: str | None = None) -> None:
        """Take a typed line, perhaps with instructions for the reply to it."""
        self._do(self.dialogue.type(text, self._now(), said))

    # -- the run ------------------------------------------------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        """Receive an event of the stream: words wait for what was said before them."""
        match event:
            case SpeechBegan(at_ms=at_ms) if self._own_turns:
                self._on_event(event)
                self._do(self.dialogue.receive(SpeechStarted(), self._now(), self._samples(at_ms)))
            case SpeechEnded(at_ms=at_ms) if self._own_turns:
                self._on_event(event)
                self._do(self.dialogue.receive(SpeechStopped(), self._now(), self._samples(at_ms)))
            case Final():
                self._do(self.dialogue.report_final(event))
            case Summary():
                self.close()
                dialogue = self.dialogue
                counts = {"replies": dialogue.replies, "interruptions": dialogue.interruptions}
                self._on_event(replace(event, **counts, tool_calls=dialogue.tool_calls))
            case _:
                if isinstance(event, SessionChanged):
                    self.news_at = self._position.now()
                self._on_event(event)

    def tool_ended(self, call: RunTool, output: str, called: ToolCalled) -> None:
        """Take the output of a tool."""
        self._do(self.dialogue.tool_ended(call.call_id, output, called, self._now()))

    async def keep_time(self) -> None:
        """Let replies come to their end, until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            self._do(self.dialogue.tick(self._now()))

    def close(self) -> None:
        """Report everything that is left. Idempotent."""
        self._do(self.dialogue.close(self._now()))

    # -- steps --------------------------------------------------------------------------------------------------------

    def _now(self) -> int:
        """Return the position, and pass on what has sounded before it."""
        now = self._position.now()
        heard = self.dialogue.playback.take_heard(now)
        for piece in heard:
            if (sound := first_sound(piece.pcm)) is not None:
                self._sounds.append(piece.start + sound)
        del self._sounds[:-_REMEMBERED_SOUNDS]
        self._on_heard(heard, now)
        return now

    def _do(self, steps: Sequence[Step]) -> None:
        for step in steps:
            match step:
                case Say(action) if self._say is not None:
                    self._say(action)
                case RunTool():
                    self._run_tool(step)
                case Emit(event):
                    self._on_event(event)

    def _measure(self, reply: Reply) -> list[Event]:
        turn_ended_at = reply.turn_ended_at
        if reply.starts_at is None or turn_ended_at is None or number_of(reply) is None:
            return []
        speech_end = self._speech_end_before(reply.created_at)
        at = bisect_left(self._sounds, reply.starts_at)
        sound = self._sounds[at] if at < len(self._sounds) else None
        return [
            LatencyMeasured(
                turn=number_of(reply),
                endpointing_ms=self._ms(speech_end, turn_ended_at),
                first_audio_ms=self._ms(turn_ended_at, reply.starts_at),
                voice_to_voice_ms=self._ms(speech_end, sound),
            )
        ]

    def _samples(self, ms: int) -> int:
        return to_samples(ms, self._position.rate_hz)

    def _ms(self, start: int | None, end: int | None) -> int | None:
        return None if start is None or end is None else to_ms(end - start, self._position.rate_hz)
