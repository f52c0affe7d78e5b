"""From the tape to the sender: chunks, commits and skips in order."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from rt_cli.audio.format import BYTES_PER_SAMPLE, silence, to_samples
from rt_cli.audio.speech.endpointing import MIN_TURN_MS
from rt_cli.errors import ConnectionLost
from rt_cli.protocol.session.clear import CLEAR_ID
from rt_cli.streaming.delivery.end_of_audio import Action, Ending, Tail, next_step
from rt_cli.streaming.delivery.next_action import Allowance, CommitTurn, Finish, GiveUp, Send, Skip, Wait, decide
from rt_cli.streaming.delivery.speech_search import ends_loud, last_sound, last_speech

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.events import Event
    from rt_cli.protocol.dialects.codec import Codec
    from rt_cli.streaming.capture.turn_marks import TurnMarks
    from rt_cli.streaming.delivery.run_state import RunState
    from rt_cli.streaming.delivery.sender import Sender

_WAIT = Wait()
_LOOK_EVERY_S = 0.1
_SILENCE_MARGIN_MS = 300
_PAUSE_S = 1.0
"""A live source is silent after so long without sound, where an endpoint must have some."""


class Pump:
    """Sends the audio of the tape over one connection, from *settled* on.

    Args:
        state: State of the run.
        sender: Sender of this connection.
        codec: Codec of this connection.
        catch_up: Highest speed, as a multiple of real time.
    """

    def __init__(self, state: RunState, sender: Sender, codec: Codec, *, catch_up: float) -> None:
        self.only_proof_missing = False
        """A loss of the connection would lose nothing: only the last sign of the endpoint is waited for."""
        self._state = state
        self._clock = state.clock
        self._tape = state.tape
        self._session = state.session
        self._marks = state.marks
        self._turn_marks: TurnMarks | None = None
        self._send_ranges = state.send_ranges
        self._sender = sender
        self._codec = codec
        self._allowance = Allowance(state.clock.now(), catch_up * state.tape.rate_hz, state.sizes.most)
        self._on_hold = False
        self._committed_at = self._opens_from = -1
        self._committed_wire = 0
        dialect = state.endpoint.dialect
        self._one_turn_at_once = dialect.one_turn_at_once
        self._longest_silence = dialect.longest_silence_s * state.tape.rate_hz
        self._speech = False
        self._ids = itertools.count(1)

    def hold(self) -> None:
        """Stop sending."""
        self._on_hold = True

    async def run(self) -> None:
        """Send until the end of the input, and commit the rest. Cancellation takes effect between two chunks."""
        self._marks.connect(self._sender)
        self._committed_at = self._opens_from = self._tape.sent
        # Known since the handshake: an endpoint may make the turns although it was asked not to.
        self._turn_marks = self._state.turn_marks if self._session.own_turns else None
        async with self._sender.stream():
            while True:
                match self._next():
                    case Send() as action:
                        if not self._send_at_once(action):
                            await self._send(action)
                    case Skip(samples):
                        self._skip(samples)
                    case GiveUp(samples):
                        await self._give_up(samples)
                    case CommitTurn():
                        await self._commit()
                    case Wait():
                        await self._wait()
                    case Finish():
                        await self._finish()
                        return

    async def _wait(self) -> None:
        """Wait for more to do. Where the endpoint counts time by the sound, a source that pauses is silence."""
        if not (self._state.endpoint.dialect.wants_sound and self._state.capture.live):
            await self._state.sound.handle_until(self._send_ready)
            return
        sent, due = self._tape.sent, self._clock.now() + _PAUSE_S
        cancel = self._clock.call_at(due, self._state.sound.notify)
        try:
            await self._state.sound.handle_until(lambda: self._send_ready() or self._clock.now() >= due)
        finally:
            cancel()
        if self._tape.sent == sent and isinstance(self._next(), Wait) and not self._on_hold:
            await self._pad(round(_PAUSE_S * self._tape.rate_hz))

    def _send_ready(self) -> bool:
        """Handler of new sound: send what can be sent without awaiting. True if the pump task has to run for the rest.

        Waking a task for a chunk costs more than all other work on the chunk.
        """
        while isinstance(action := self._next(), Send) and self._send_at_once(action):
            pass
        return not isinstance(action, Wait)

    def _next(self) -> Send | Skip | GiveUp | CommitTurn | Wait | Finish:
        tape, marks, ended = self._tape, self._turn_marks, self._state.capture.ended
        sent, known, closes = tape.sent, tape.readable, None
        if self._on_hold or (sent == known and marks is None and not ended):
            return _WAIT
        if self._one_turn_at_once and self._session.awaits_answer:
            return _WAIT
        if marks is not None:
            self._report_speech_start(sent)
            if not self._speech and self._session.wire.wire - self._committed_wire >= self._longest_silence:
                # No commit may split speech that is sent but not analysed.
                return CommitTurn() if marks.analysed >= sent else _WAIT
            known, closes = min(known, marks.earliest_close), marks.closes_after(max(sent, self._committed_at + 1))
            ended = ended and marks.analysed == tape.captured
        return decide(
            sent=sent,
            known=known,
            captured=tape.captured,
            ended=ended,
            closes=closes,
            sizes=self._state.sizes,
            send_range=None if self._send_ranges is None else self._send_ranges.at(sent),
            oldest=tape.oldest,
        )

    def _skip(self, samples: int) -> None:
        """Leave audio out of the connection; it keeps its place on the timeline."""
        start = self._tape.sent
        if self._send_ranges is not None:
            self._send_ranges.leave_out(start, start + samples)
        self._marks.skipped(samples)

    async def _give_up(self, samples: int) -> None:
        """Drop audio that has waited for too long; speech before and after the gap becomes two turns."""
        start, end = self._tape.sent, self._tape.sent + samples
        self._report_speech_start(start)
        if self._speech:
            await self._commit(tail=True)
            return
        if self._turn_marks is not None:
            self._turn_marks.leave_out(start, end)
        if self._send_ranges is not None:
            for part in self._send_ranges.unsent(start, end):
                self._send_ranges.leave_out(*part)
        self._marks.given_up(samples)
        self._state.sound.notify()  # the tape has room again

    async def _send(self, action: Send) -> None:
        now = self._clock.now()
        if (allowed := self._allowance.take(action.samples, now)) > now:
            await self._clock.sleep_until(allowed)
        await self._sender.room(action.samples)
        if self._on_hold or self._tape.sent < self._tape.oldest:
            return
        messages, samples = self._load(action)
        self._report_speech_start(self._tape.sent + samples)
        self._marks.sent(samples)
        await self._sender.audio(messages, samples)
        self._report_sent()

    def _send_at_once(self, action: Send) -> bool:
        """Send without awaiting; return False, and send nothing, if that is impossible now."""
        if not self._sender.free(action.samples) or not self._allowance.take_now(action.samples, self._clock.now()):
            return False
        messages, samples = self._load(action)
        self._sender.audio_at_once(messages, samples)
        self._report_speech_start(self._tape.sent + samples)
        self._marks.sent(samples)
        self._report_sent()
        return True

    def _load(self, action: Send) -> tuple[Sequence[bytes], int]:
        """Return the messages of the next chunks, and their number of samples.

        Without a speed limit several chunks are sent together: in one message, unless the chunk size is configured.
        """
        start, size, count = self._tape.sent, action.samples, 1
        if action.alike and self._allowance.unlimited:
            count = max(1, min(1 + action.alike, self._sender.spare // size))
        samples = size * count
        if not self._state.sizes.fixed:
            size = samples
        return self._codec.audio_messages(self._tape.read(start, start + samples), size * BYTES_PER_SAMPLE), samples

    def _report_sent(self) -> None:
        if self._state.probe is not None:
            self._state.probe.sent(self._tape.sent)

    def _report_speech_start(self, end: int) -> None:
        """Report a turn that opens before ``end``, perhaps in audio already sent: detection lags behind."""
        if self._turn_marks is None or self._speech:
            return
        opens = self._turn_marks.opens_in(self._opens_from, end)
        if opens is not None:
            self._speech = True
            self._report(self._session.speech_opens(opens, self._clock.now()))

    def _report(self, event: Event | None) -> None:
        """Report an event in the middle of a send: nobody is notified, who might send before it has ended."""
        if event is not None:
            self._state.on_event(event)

    async def _pad(self, samples: int) -> None:
        self._marks.padded(samples)
        size = self._state.sizes.usual if self._state.sizes.fixed else samples
        await self._sender.audio(self._codec.audio_messages(silence(samples), size * BYTES_PER_SAMPLE), samples)

    async def _commit(self, *, tail: bool = False, speech: bool | None = None) -> None:
        missing = to_samples(MIN_TURN_MS, self._tape.rate_hz) - (self._session.wire.wire - self._committed_wire)
        if missing > 0:
            await self._pad(missing)
        event_id = f"rt_commit_{next(self._ids)}"
        speech = self._speech if speech is None else speech
        self._report(self._session.committing(event_id, self._clock.now(), speech=speech, tail=tail))
        self._committed_at = self._tape.sent
        if speech:
            # A turn whose speech is noticed late may open before a commit of silence.
            self._opens_from = self._committed_at
        self._committed_wire = self._session.wire.wire
        self._speech = False
        await self._control(self._codec.commit_message(event_id))

    async def _control(self, message: bytes) -> None:
        """Send a message behind all audio."""
        if rest := self._codec.rest_messages():
            await self._sender.audio(rest, 0)
        await self._sender.control(message)

    async def _finish(self) -> None:
        """Close the last turn, and wait for the proof that the endpoint has read everything."""
        if self._session.wire.wire:
            if self._session.own_turns:
                await self._commit_speech()
            await self._end_audio()
        self._marks.apply(self._session.drain())

    async def _commit_speech(self) -> None:
        """Commit what is left, if there is speech in it."""
        left = self._tape.sent - max(self._committed_at, self._tape.settled)
        if self._turn_marks is None and left > 0 and self._session.wire.wire > self._committed_wire:
            self._speech = await self._find_speech(self._tape.sent - left, any_speech=True) is not None
        if self._speech:
            await self._commit(tail=True)

    async def _end_audio(self) -> None:
        """Carry out :func:`next_step` until it is done, or until the endpoint makes no progress any more."""
        clock, endpoint = self._clock, self._state.endpoint
        tail = Tail(clock.now(), clock.now(), committed=self._session.awaits_commit)
        while (left_s := self._given_up_at(tail) - clock.now()) > 0:
            self.only_proof_missing = self._only_proof_missing(tail)
            ending = self._look(tail, left_s)
            await self._sender.ping_behind()
            action = next_step(
                ending,
                own_turns=self._session.own_turns,
                takes_clear=endpoint.known and endpoint.dialect.clears,
                ends_stream=endpoint.dialect.ends_stream,
                same_detector=endpoint.embedded,
            )
            if action == "done":
                self._check_proof()
                return
            if action == "wait":
                await self._wait_for_news(tail)
            else:
                await self._act(action, tail)
                tail.acted_at = clock.now()
        self._check_proof()
        await self._give_up_tail(tail)

    def _given_up_at(self, tail: Tail) -> float:
        """Return when the endpoint has made no progress for too long, seconds."""
        return max(tail.began_at, self._sender.progress_at, self._told_at) + self._state.patience_s

    def _quiet_since(self, tail: Tail) -> float:
        return max(tail.acted_at, self._sender.progress_at, self._session.news_at)

    def _look(self, tail: Tail, left_s: float) -> Ending:
        """Return what is known at this moment."""
        session, sender = self._session, self._sender
        takes_commits = session.own_turns or self._state.endpoint.dialect.takes_commits
        missed, sound = tail.missed, tail.sound
        searched = tail.told == session.tells_of_speech
        return Ending(
            quiet_s=self._clock.now() - self._quiet_since(tail),
            read=sender.acknowledged >= sender.sent,
            cleared=session.cleared,
            clear_sent=tail.clear_sent,
            commit=session.last_commit if tail.committed else "none" if takes_commits else "refused",
            speaking=session.speaking,
            padded_s=tail.padded / self._tape.rate_hz,
            missed_speech=None if not searched else missed is not None and missed > session.covered,
            uncertain_speech=missed is not None and missed > session.surely_covered,
            news_since_silence=session.news_at > tail.padded_at,
            missed_sound=sound is not None and sound > session.surely_covered,
            speech_at_end=missed is not None and self._tape.sent - missed < self._silence,
            tells_of_speech=session.tells_of_speech,
            ends_turns=session.ends_turns,
            awaits_words=session.committed_turns > 0,
            left_s=left_s,
            patience_s=self._state.patience_s,
        )

    async def _wait_for_news(self, tail: Tail) -> None:
        """Wait a moment. The endpoint was not quiet while this program did not run: what it sent waits to be read."""
        looked_at, quiet_since, before_s = self._clock.now(), self._quiet_since(tail), self._session.held_up_s
        began_at = max(tail.began_at, self._sender.progress_at)
        await self._state.wait_for_change(_LOOK_EVERY_S)
        late_s = self._clock.now() - looked_at - _LOOK_EVERY_S
        held_up_s = max(late_s, self._session.held_up_s - before_s, 0.0)
        tail.acted_at, tail.began_at = quiet_since + held_up_s, began_at + held_up_s

    async def _act(self, action: Action, tail: Tail) -> None:
        """Carry out an action of :func:`next_step`."""
        session = self._session
        match action:
            case "pad":
                session.ignore_commits()
                margin = to_samples(_SILENCE_MARGIN_MS, self._tape.rate_hz)
                samples = self._tape.rate_hz if tail.padded else self._silence + margin
                await self._pad(samples)
                tail.padded, tail.padded_at = tail.padded + samples, self._clock.now()
            case "search":
                tail.told = session.tells_of_speech
                tail.missed = await self._find_speech(session.surely_covered)
                tail.sound = await last_sound(self._tape, session.surely_covered)
            case "commit":
                # What is only louder than silence may well be an empty turn.
                await self._commit(tail=True, speech=session.tells_of_speech)
                tail.committed = True
            case "clear" | "end":
                session.clearing(CLEAR_ID)
                make = self._codec.clear_message if action == "clear" else self._codec.end_message
                await self._control(make(CLEAR_ID))
                tail.clear_sent = True

    def _check_proof(self) -> None:
        """Raise ConnectionLost where only the answer to the end of the stream proves anything, and it is missing."""
        if self._state.endpoint.dialect.proves_end and not self._session.cleared:
            raise ConnectionLost("the endpoint has not ended the session", "check the endpoint", code="no_end")

    @property
    def _told_at(self) -> float:
        """When the endpoint last told of a turn, where it tells until it ends the session, seconds."""
        return self._session.news_at if self._state.endpoint.dialect.proves_end else 0.0

    async def _give_up_tail(self, tail: Tail) -> None:
        """Make a hole of the speech at the end, if the endpoint has not shown that it read it."""
        session = self._session
        if self._sender.acknowledged < self._sender.sent and not session.cleared:
            searched = tail.told is not None
            missed = tail.missed if searched else await self._find_speech(session.surely_covered)
            if missed is not None:
                self._marks.apply(session.give_up_tail(missed))

    def _only_proof_missing(self, tail: Tail) -> bool:
        """Return whether everything is read and no speech is left that is in no turn."""
        session, dialect = self._session, self._state.endpoint.dialect
        ended = tail.clear_sent and dialect.ends_stream and not dialect.proves_end
        searched = tail.told == session.tells_of_speech
        silent = ended or (searched and (tail.missed is None or tail.missed <= session.covered))
        return silent and not session.speaking and self._sender.acknowledged >= self._sender.sent

    async def _find_speech(self, start: int, *, any_speech: bool = False) -> int | None:
        if self._tape.sent <= start:
            return None
        if self._session.speaking and ends_loud(self._tape):
            return self._tape.sent
        return await last_speech(
            self._tape,
            start,
            self._state.make_detector,
            threshold=self._state.settings.session.vad_threshold,
            any_speech=any_speech,
            # Nobody else tells of speech: rather words for a noise than no words for a song.
            any_sound=not self._session.tells_of_speech,
        )

    @property
    def _silence(self) -> int:
        """Samples of silence that close a turn of the endpoint, by what is known of it."""
        silence_ms = max(self._state.settings.session.silence_ms, self._session.endpoint_silence_ms)
        return to_samples(silence_ms, self._tape.rate_hz)
