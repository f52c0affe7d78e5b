"""A measured conversation: recordings as turns, replies on a virtual loudspeaker, through the code of ``rt talk``."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from rt_cli.audio.format import to_samples
from rt_cli.bench.level import ReplyCounts
from rt_cli.bench.stopwatch import Stopwatch
from rt_cli.conversation_events import LatencyMeasured, ReplyEnded
from rt_cli.errors import RtError, worst_exit
from rt_cli.streaming.job import Job
from rt_cli.streaming.streamer import Streamer
from rt_cli.talk.conversation import hold, reply_errors
from rt_cli.talk.partner import Partner
from rt_cli.talk.position import Position
from rt_cli.talk.talk_plan import talk_settings
from rt_cli.talk.tools.tool_set import ToolSet
from rt_cli.talk.user.loudness import speech_end
from rt_cli.talk.user.script import TalkScript, Utterance
from rt_cli.talk.user.talk_source import PIECE_MS, ScriptedSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rt_cli.audio.source import Source, Warn
    from rt_cli.bench.level import SessionResult, Tally
    from rt_cli.bench.levels import Place
    from rt_cli.bench.recording import Recording
    from rt_cli.clock import Clock
    from rt_cli.events import Event
    from rt_cli.protocol.dialects.dialect import SessionRequest
    from rt_cli.protocol.endpoint.endpoint import Endpoint
    from rt_cli.settings import Settings
    from rt_cli.streaming.cost import Bill


def conversation_settings(settings: Settings) -> Settings:
    """Return the settings of measured conversations: spoken replies, real time.

    Raises:
        UsageError: A setting that a conversation cannot have.
    """
    talk = replace(settings.talk, no_audio=False)
    return talk_settings(replace(settings, talk=talk, delivery=replace(settings.delivery, speed=1.0)))


class TalkSessions:
    """Makes the sessions of a bench. Each says all recordings, in their order, a turn each.

    Args:
        endpoint: The endpoint.
        session: The session to ask it for.
        settings: Of :func:`conversation_settings`.
        recordings: The turns.
        bill: Shared by all sessions.
        clock: The time.
        interrupt_at_s: Seconds from the first sample of a reply to the next turn; None waits for its end.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        session: SessionRequest,
        settings: Settings,
        recordings: Sequence[Recording],
        *,
        bill: Bill | None,
        clock: Clock,
        interrupt_at_s: float | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._session = session
        self._settings = settings
        self._bill = bill
        self._clock = clock
        self._name = ", ".join(recording.name for recording in recordings)
        texts = [recording.reference for recording in recordings if recording.reference is not None]
        self._reference = " ".join(texts) or None
        self._utterances = [
            Utterance(recording.name, recording.pcm, speech_end(recording.pcm, recording.rate_hz))
            for recording in recordings
        ]
        self._patience = round(settings.talk.reply_timeout_s * session.rate_hz)
        self._interrupt_at = None if interrupt_at_s is None else round(interrupt_at_s * session.rate_hz)

    def open(self, place: Place, measures: Tally) -> TalkSession:
        """Return a session, which has not begun."""
        position = _SteadyPosition(self._clock, self._session.rate_hz)
        script = TalkScript(self._utterances, patience=self._patience, interrupt_at=self._interrupt_at)
        stopwatch = TalkStopwatch(_TalkSchedule(position), self._clock, measures)
        tools = ToolSet((), self._settings.talk.tool_timeout_s)
        partner = Partner(
            position,
            stopwatch.on_event,
            self._session,
            run_tool=tools.start,
            speech_end_before=script.speech_end_before,
        )
        job = Job(
            self._name,
            partial(self._open_source, script, partner, position),
            self._endpoint,
            self._session,
            self._settings,
            bill=self._bill,
            probe=stopwatch,
            conversation=partner,
        )
        streamer = Streamer(job, self._clock, partner.on_event)
        result = partial(stopwatch.result, self._name, self._reference, place=place)
        return TalkSession(streamer, partner, tools, script, stopwatch, result)

    async def _open_source(
        self, script: TalkScript, partner: Partner, position: Position, _rate_hz: int, _warn: Warn
    ) -> Source:
        return ScriptedSource(self._name, script, partner, position, partner.ready, lambda _at, _pcm: None)


class TalkSession:
    """One session.

    Args:
        streamer: Its run.
        partner: Its replies.
        tools: None, for an endpoint that calls some.
        script: Its turns.
        stopwatch: Measures it.
        result: Makes its result of the summary of the run.
    """

    def __init__(
        self,
        streamer: Streamer,
        partner: Partner,
        tools: ToolSet,
        script: TalkScript,
        stopwatch: TalkStopwatch,
        result: partial[SessionResult],
    ) -> None:
        self._streamer = streamer
        self._partner = partner
        self._tools = tools
        self._script = script
        self._stopwatch = stopwatch
        self._result = result
        self._interrupted = False

    async def run(self) -> SessionResult:
        """Run it to its end. Cancellation ends it without a result."""
        summary = await hold(self._streamer, self._partner, self._tools)
        result = self._result(summary)
        unanswered = [*self._script.unanswered, *self._script.awaited(self._partner)]
        # Who is interrupted does not wait for the replies.
        errors = [] if self._interrupted else list(reply_errors(self._partner.dialogue, unanswered))
        failures = _failures(errors)
        return replace(
            result,
            failures=result.failures + failures,
            exit=worst_exit([result.exit, *(error.exit_code for error in errors)]),
            replies=ReplyCounts(self._stopwatch.replies, self._stopwatch.interrupted, failures.total()),
        )

    def interrupt(self, exit_code: int) -> None:
        """End it: what was said is delivered; the second call ends it at once."""
        self._interrupted = True
        self._streamer.interrupt(exit_code)


def _failures(errors: Sequence[RtError]) -> Counter[str]:
    """Count failed replies by code, each once: a user waits in vain also for a reply that is refused or never ends."""
    codes = Counter(error.code for error in errors)
    codes["no_reply"] -= min(codes["no_reply"], codes["reply_cut"] + codes["reply_refused"])
    return +codes


class TalkStopwatch(Stopwatch):
    """Measures a conversation, as its measure hooks and its event handler.

    Args:
        schedule: Of the user's sound.
        clock: The time.
        level_measures: Receives all measured values, too.
    """

    replies = 0
    """Replies that have ended."""
    interrupted = 0
    """Of them, those that the user stopped."""

    def on_event(self, event: Event) -> None:
        """Measure and count an event of the conversation."""
        match event:
            case ReplyEnded(interrupted=interrupted):
                self.replies += 1
                self.interrupted += interrupted
            case LatencyMeasured():
                self._add_known("endpointing", event.endpointing_ms)
                self._add_known("first_audio", event.first_audio_ms)
                self._add_known("voice_to_voice", event.voice_to_voice_ms)
            case _:
                super().on_event(event)

    def _add_known(self, name: str, ms: int | None) -> None:
        if ms is not None:
            self._add(name, ms)


class _SteadyPosition(Position):
    """A clock that waits for nobody: a delay of this process is part of the figures."""

    async def reach(self, position: int) -> None:
        await self.sleep_until(position)


class _TalkSchedule:
    """When the sound of a user is due, which begins by itself."""

    def __init__(self, position: Position) -> None:
        self.rate_hz = position.rate_hz
        self._position = position
        self._piece = to_samples(PIECE_MS, position.rate_hz)

    def begin(self) -> None:
        """Do nothing."""

    def due(self, position: int) -> float | None:
        return self._position.due(position)

    def dues(self, start: int, end: int) -> Iterator[float]:
        for position in range(start - start % self._piece + self._piece, end + 1, self._piece):
            if (due := self.due(position)) is not None:
                yield due
