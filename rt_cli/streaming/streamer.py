"""One run: one source to one endpoint, from the first sample to the summary."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec import UNSET

from rt_cli.errors import EXIT_OK, ConnectionLost, RtError, unexpected
from rt_cli.events import Noted, Warned, error_event
from rt_cli.protocol.endpoint.negotiation import Negotiation
from rt_cli.protocol.session.session import Session
from rt_cli.settings import auto
from rt_cli.streaming.capture.capture import TapeFeeder
from rt_cli.streaming.capture.overflow_policy import OverflowPolicy
from rt_cli.streaming.capture.push_to_talk import POST_ROLL_MS, PushToTalk
from rt_cli.streaming.capture.turn_analysis import TurnAnalysis
from rt_cli.streaming.cost import Meter, bill_of
from rt_cli.streaming.delivery.marks import Marks, dropped
from rt_cli.streaming.delivery.reconnect import Reconnector
from rt_cli.streaming.delivery.run_state import RunState, SessionChoice
from rt_cli.streaming.delivery.speech_search import QuietPrefix
from rt_cli.streaming.outcome import RunOutcome
from rt_cli.streaming.progress_report import ProgressReport
from rt_cli.streaming.send_policy import select
from rt_cli.streaming.source_events import ending, no_speech, opened
from rt_cli.streaming.storage import Storage
from rt_cli.streaming.summary import summary_of
from rt_cli.streaming.timing.change_signal import ChangeSignal
from rt_cli.streaming.timing.suspend import COSTLY_LAG_S, Lagged, LoopMonitor, Suspended, asleep_s, watch
from rt_cli.timeline.tape import Tape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rt_cli.audio.source import Source
    from rt_cli.clock import Clock
    from rt_cli.events import EventHandler, Summary
    from rt_cli.settings import OnFull
    from rt_cli.streaming.capture.push_to_talk import Command
    from rt_cli.streaming.delivery.next_action import ChunkSizes
    from rt_cli.streaming.job import Job
    from rt_cli.streaming.send_policy import SendPolicy
    from rt_cli.timeline.tape import Hole

log = logging.getLogger("rt.streamer")


class Streamer:
    """Runs one job.

    Args:
        job: The job.
        clock: The clock.
        on_event: Receives all events of the run.
        progress: Whether to report marks and levels ten times a second.
    """

    def __init__(self, job: Job, clock: Clock, on_event: EventHandler, *, progress: bool = False) -> None:
        self._job = job
        self._clock = clock
        self._progress = progress
        self.error: RtError | None = None
        """After the run: the cause of its exit code; None if it has none, or is a signal."""
        self._rate = job.session.rate_hz
        self._storage = Storage(job, self._rate, on_event)
        self._on_event = self._storage.report
        self._sound = ChangeSignal()
        self.changed = ChangeSignal(also=self._sound)
        """Notified on events of the endpoint and on acknowledgements."""
        self.tape = Tape(self._rate)
        """The audio of the run and its marks, for readers."""
        self._quiet_prefix = QuietPrefix(self.tape)
        self._negotiation = job.negotiation or Negotiation(job.endpoint, job.session, job.settings.session)
        self._choice = SessionChoice(self._negotiation, self._negotiation.proposal)
        self._turns = self._choice.proposal.request.turns
        self._control = PushToTalk(self._rate, push_to_talk=job.settings.input.ptt, on_change=on_event)
        self._meter = Meter(self._rate, job.bill or bill_of(job.settings))
        self._overflow_policy: OverflowPolicy | None = None
        self._capture: TapeFeeder | None = None
        self._send_policy: SendPolicy | None = None
        self._session = self._make_session()
        self._marks: Marks | None = None
        self._reconnector: Reconnector | None = None
        self._delivery_task: asyncio.Task[None] | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._others: list[asyncio.Task[None]] = []
        self._silent_input = False
        self._signals = 0
        self._signal_exit = EXIT_OK
        self._stdout_closed = False
        self._errors: list[RtError] = []
        self._loop_monitor = LoopMonitor(asleep_s())

    async def run(self) -> Summary:
        """Run the job and return its summary, whatever the outcome; the summary is also reported as an event.

        Cancellation ends the run within two seconds, without a summary.
        """
        began = self._clock.now()
        source: Source | None = None
        with self._noting_errors():
            source = await self._job.open_source(self._rate, self._warn)
        if source is None:
            return self._conclude(began)
        try:
            with self._noting_errors():
                self._on_event(opened(self._job, source.info, self._clock.wall()))
                self._make_tape(source)
                await self._storage.open(source, self.tape, self._session)
                await self._stream(source)
        finally:
            if self._overflow_policy is not None:
                self._overflow_policy.end()
            # An error while one part is closed must not keep the others open.
            with self._noting_errors():
                await source.aclose()
            with self._noting_errors():
                await self._storage.close_recorder(self.tape.captured)
            with self._noting_errors():
                await self._storage.drain()
            self.tape.close()
        return self._conclude(began, await self._job.count_unwritten())

    @contextmanager
    def _noting_errors(self) -> Iterator[None]:
        """Note the error that ends the block: an error, or a bug, ends this source only, not the others."""
        try:
            yield
        except RtError as exc:
            self._errors.append(exc)
        except Exception as exc:
            log.debug("unexpected", exc_info=True)
            self._errors.append(unexpected(exc))

    @property
    def connected(self) -> bool:
        """Whether the run has a session at the endpoint at present."""
        link = self._reconnector.link if self._reconnector else None
        return link is not None and link.ready and not link.ended

    def printed(self, turn: int) -> None:
        """Note that a final was printed. Thread-safe."""
        self._storage.printed(turn)

    def interrupt(self, exit_code: int) -> None:
        """Handle Ctrl-C or SIGTERM. The first one ends capture and waits for open turns, the second one closes now.

        Args:
            exit_code: Exit code of an incomplete run: 130 or 143.
        """
        self._signals += 1
        self._signal_exit = exit_code
        if self._signals == 1 and self._capture is not None:
            self._on_event(ending(self._job))
            self._capture.stop()
        elif self._delivery_task is not None:
            self._delivery_task.cancel()

    def obey(self, command: Command) -> None:
        """Apply a mute or push-to-talk command. The caller maps ``quit`` to :meth:`interrupt`."""
        self._control.apply(command)
        self.changed.notify()

    def hang_up(self) -> None:
        """Handle a closed stdout: end without an error. After a signal, wait for the open turns nevertheless."""
        if self._signals:
            return
        self._stdout_closed = True
        if self._delivery_task is not None:
            self._delivery_task.cancel()

    # -- unsent audio -------------------------------------------------------------------------------------------------

    def _make_tape(self, source: Source) -> None:
        """Make the tape and its overflow policy; both depend on whether the source can wait."""
        policy = self._on_full(source)
        self.tape = Tape(self._rate, memory_s=self._job.memory_s, on_disk=policy == "spool")
        self._quiet_prefix = QuietPrefix(self.tape)
        self._overflow_policy = OverflowPolicy(
            self.tape,
            policy,
            limit_s=self._job.memory_s,
            send_ranges=lambda: self._send_policy.send_ranges if self._send_policy else None,
            on_hole=self._report_hole,
        )

    def _on_full(self, source: Source) -> OnFull:
        return self._job.settings.delivery.on_full if source.info.live else "spool"

    def _enforce(self) -> RtError | None:
        """Enforce the limit of unsent audio; report at once an error that ends capture."""
        error = self._overflow_policy.enforce() if self._overflow_policy else None
        if error is not None:
            self._on_event(Noted(error.message))
        return error

    @property
    def _delivered(self) -> bool:
        truncated = self._capture is None or self._capture.truncated
        return self.tape.settled == self.tape.captured and not truncated

    def close(self, *, printed: bool) -> None:
        """Close the spool after the run, when its results are written.

        Args:
            printed: Whether all results are written; if not, the spool stays.
        """
        self._storage.close(delivered=self._delivered and printed)

    # -- running ------------------------------------------------------------------------------------------------------

    async def _stream(self, source: Source) -> None:
        settings, info = self._job.settings, source.info
        if settings.input.ptt:
            self._control.report()
        sizes = self._job.chunk_sizes(self._rate, live=info.live)
        self._capture = capture = self._make_capture(source, sizes)
        self._send_policy = policy = select(
            settings,
            self._turns,
            tape=self.tape,
            capture=capture,
            changed=self._sound,
            control=self._control,
            make_detector=self._job.make_detector,
            on_quiet=self._on_silence,
        )
        self._marks = self._make_marks(capture, policy)
        self._reconnector = Reconnector(self._make_run_state(capture, self._marks, policy, sizes))
        progress = ProgressReport(self.tape, capture, self._reconnector, self._meter, self._clock, self._on_event)
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            self._others = others = [
                tasks.create_task(capture.run(), name="capture"),
                tasks.create_task(capture.reread(), name="reread"),
            ]
            if policy.analysis is not None:
                others.append(tasks.create_task(policy.analysis.run(), name="analysis"))
            if self._progress:
                others.append(tasks.create_task(progress.run(), name="progress"))
            watching = watch(self._loop_monitor, self._clock, self.on_lag_or_suspend, since=capture.started_at)
            others.append(tasks.create_task(watching, name="machine"))
            self._delivery_task = tasks.create_task(self._deliver(self._reconnector), name="delivery")
            if self._signals:
                capture.stop()
            if self._signals > 1 or self._stdout_closed:
                self._delivery_task.cancel()
            await asyncio.wait((self._delivery_task,))
            capture.stop()
            for other in others:
                other.cancel()
        if self._progress:
            progress.report()
        if capture.error is not None:
            # The capture error is the cause: later errors are its consequences.
            self._errors.insert(0, capture.error)
        if capture.cost_limit_hit and capture.live:
            self._warn("max_cost", "the cost limit is reached: nothing more was captured")

    def _make_capture(self, source: Source, sizes: ChunkSizes) -> TapeFeeder:
        return TapeFeeder(
            source,
            self.tape,
            self._clock,
            self._sound,
            speed=self._job.speed,
            piece_s=sizes.usual / self._rate,
            limit_s=self._job.settings.input.duration_s,
            on_hole=self._report_hole,
            spool_writer=self._storage.spool_writer,
            recorder=self._storage.recorder,
            control=self._control,
            allowance=None if self._job.settings.delivery.max_cost is None else lambda: self._meter.room,
            metered=self._progress,
            enforce=None if self._on_full(source) == "spool" else self._enforce,
            reopen=self._reopen if self._job.is_seekable(source.info) else None,
        )

    async def _reopen(self) -> Source:
        return await self._job.open_source(self._rate, lambda _code, _message: None)

    def _make_marks(self, capture: TapeFeeder, policy: SendPolicy) -> Marks:
        def rewind_tape() -> None:
            capture.rewind()
            # More audio waits than before, perhaps too much.
            if self._overflow_policy is not None:
                self._overflow_policy.enforce()

        return Marks(
            self.tape,
            self._session,
            self._meter,
            rewind_tape=rewind_tape,
            on_change=self.changed.notify,
            on_event=self._on_event,
            spool_writer=self._storage.spool_writer,
            turn_marks=policy.marks,
            send_ranges=policy.send_ranges,
            conversation=self._job.conversation,
        )

    def _make_run_state(self, capture: TapeFeeder, marks: Marks, policy: SendPolicy, sizes: ChunkSizes) -> RunState:
        return RunState(
            choice=self._choice,
            settings=self._job.settings,
            tape=self.tape,
            session=self._session,
            capture=capture,
            marks=marks,
            make_turns=self._make_turns,
            send_ranges=policy.send_ranges,
            changed=self.changed,
            sound=self._sound,
            clock=self._clock,
            sizes=sizes,
            on_event=self._on_event,
            make_detector=self._job.make_detector,
            wait_for_room=self._job.wait_for_room,
            probe=self._job.probe,
            make_wire_log=self._job.witness,
            conversation=self._job.conversation,
            on_translated_sound=self._job.on_translated_sound,
        )

    def _make_turns(self) -> None:
        """Make the turns from what is not settled on: the endpoint refuses to."""
        if self._marks is None or self._capture is None or self._tasks is None:
            return
        analysis = TurnAnalysis(
            self.tape,
            self._capture,
            self._sound,
            self._job.settings.session,
            self._job.make_detector,
            start=self.tape.settled,
        )
        self._marks.turn_marks = analysis.marks
        self._session.make_turns()
        self._others.append(self._tasks.create_task(analysis.run(), name="turns"))

    def _on_silence(self) -> None:
        """End capture after ``--stop-after-silence``."""
        if self._capture is not None:
            self._on_event(Noted(f"no speech for {self._job.settings.input.stop_after_silence_s:g} s: ending"))
            self._capture.finish()

    def on_lag_or_suspend(self, event: Lagged | Suspended) -> None:
        """Report event-loop lag; after a system suspend, count the missing audio and reconnect."""
        link = self._reconnector.link if self._reconnector else None
        match event:
            case Lagged(seconds) if link is not None and link.ready:
                costs = seconds >= COSTLY_LAG_S and self._capture is not None and self._capture.live
                message = f"the program was held up for {seconds * 1000:.0f} ms"
                log.debug("%s", message)
                self._on_event(Warned("loop_lag", message, minor=UNSET if costs else True))
            case Suspended(seconds):
                self._on_event(Warned("suspended", f"the machine was suspended for {seconds:.0f} s"))
                if self._capture is not None:
                    self._capture.add_suspend_gap(seconds)
                if link is not None:
                    link.fail(ConnectionLost("the machine was suspended", code="suspended"))

    async def _deliver(self, delivery: Reconnector) -> None:
        try:
            await delivery.run()
        except RtError as exc:
            self._errors.append(exc)

    # -- parts --------------------------------------------------------------------------------------------------------

    def _make_session(self) -> Session:
        settings = self._job.settings
        return Session(
            rate_hz=self._rate,
            own_turns=self._turns in {"client", "none"},
            own_detector=self._turns == "client",
            patience_s=auto.drain_timeout_s(settings.delivery.drain_timeout_s, embedded=self._job.endpoint.embedded),
            # With push to talk a turn ends at the end of speech plus the post-roll.
            silence_ms=POST_ROLL_MS if settings.input.ptt else settings.session.silence_ms,
            prefix_ms=settings.session.prefix_ms,
            is_quiet=self._is_quiet,
            heard_at=self._captured_at if self._job.probe is None else self._job.probe.heard_at,
            turn_ends=self._job.conversation is not None,
            translate=settings.session.translate,
        )

    def _is_quiet(self, upto: int) -> bool:
        return self._quiet_prefix.reaches(upto)

    def _captured_at(self, position: int) -> float | None:
        return self._capture.captured_at(position) if self._capture else None

    def _warn(self, code: str, message: str) -> None:
        self._silent_input = self._silent_input or code == "silent_input"
        self._on_event(Warned(code, message))

    def _report_hole(self, hole: Hole) -> None:
        self._on_event(dropped(hole, self._rate))

    # -- the end ------------------------------------------------------------------------------------------------------

    def _conclude(self, began: float, unwritten: int = 0) -> Summary:
        capture = self._capture
        if not self._delivered:
            self._storage.report_undelivered()
        outcome = RunOutcome(
            name=self._job.name,
            rate_hz=self._rate,
            ledger=self._marks.ledger() if self._marks else self.tape.ledger(),
            suspended=self.tape.suspended,
            errors=tuple(self._errors),
            signals=self._signals,
            signal_exit=self._signal_exit,
            truncated=capture is None or capture.truncated,
            stdout_closed=self._stdout_closed,
            unwritten=unwritten,
            may_be_silent=self._job.conversation is not None,
            cost_limit_hit=capture is not None and capture.cost_limit_hit and not capture.live,
        )
        log.debug("%d events of the endpoint were ignored", self._session.ignored)
        self.error = error = outcome.error
        if error is not None and outcome.exit_code:
            self._on_event(error_event(error))
        if outcome.complete and not self._session.finals and not self._silent_input:
            live = capture is not None and capture.live
            if (warning := no_speech(self._job, outcome.ledger.captured, live=live)) is not None:
                self._on_event(warning)
        summary = summary_of(
            outcome,
            self._session,
            self._meter,
            delivery=self._reconnector,
            send_ranges=self._send_policy.send_ranges if self._send_policy else None,
            translates=self._job.settings.session.translate is not None,
            wall_ms=round((self._clock.now() - began) * 1000),
        )
        self._on_event(summary)
        return summary
