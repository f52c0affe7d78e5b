"""From the tape to the sender: what goes next, in which size, and where the commits stand."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from rt_cli.audio.format import BYTES_PER_SAMPLE, silence, to_samples
from rt_cli.protocol.codec import append_event, append_events, commit_event
from rt_cli.streaming.delivery.next_action import Allowance, CommitTurn, Finish, GiveUp, Send, Skip, Wait, decide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.streaming.delivery.run_state import RunState
    from rt_cli.streaming.delivery.sender import Sender

_WAIT = Wait()
MIN_COMMIT_MS = 100
"""Less is refused by most endpoints as an empty buffer."""


class Pump:
    """Sends what is on the tape over one connection, from *settled* on.

    Args:
        state: Of the run.
        sender: Of this connection.
        catch_up: Times real time at which it sends at most.
    """

    def __init__(self, state: RunState, sender: Sender, *, catch_up: float) -> None:
        self.padding = 0
        """Samples of silence added, outside the ledger."""
        self._state = state
        self._clock = state.clock
        self._tape = state.tape
        self._session = state.session
        self._marks = state.marks
        self._send_ranges = state.send_ranges
        self._sender = sender
        self._allowance = Allowance(state.clock.now(), catch_up * state.tape.rate_hz, state.sizes.most)
        self._held = False
        self._committed_at = -1
        self._committed_wire = 0
        self._speech = False
        self._ids = itertools.count(1)

    def hold(self) -> None:
        """Send nothing more."""
        self._held = True

    async def run(self) -> None:
        """Send until the end of the input, and commit what is left. Cancelling it ends at a chunk's boundary."""
        self._committed_at = self._tape.sent
        async with self._sender.stream():
            while True:
                match self._next():
                    case Send() as step:
                        if not self._send_at_once(step):
                            await self._send(step)
                    case Skip(samples):
                        self._skip(samples)
                    case GiveUp(samples):
                        await self._give_up(samples)
                    case CommitTurn():
                        await self._commit()
                    case Wait():
                        await self._state.sound.wait_notified(self._has_more)
                    case Finish():
                        await self._finish()
                        return

    def _has_more(self) -> bool:
        """Send what needs no waiting, within the call of whoever rang; whether there is more to do than that.

        To wake a task for a chunk costs more than all else that is done for it.
        """
        try:
            while isinstance(step := self._next(), Send) and self._send_at_once(step):
                pass
        except OSError:
            return True  # the tape's file: it is met again where it is ours to tell
        return not isinstance(step, Wait)

    def _next(self) -> Send | Skip | GiveUp | CommitTurn | Wait | Finish:
        tape, marks, ended = self._tape, self._marks, self._state.capture.ended
        sent, known, closes = tape.sent, tape.captured, None
        if self._held or (sent == known and marks is None and not ended):
            return _WAIT
        if marks is not None:
            known, closes = marks.analysed, marks.closes_after(max(sent, self._committed_at + 1))
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
        """Leave sound out: it stands on the timeline, and nobody will ask for it."""
        start = self._tape.sent
        if self._send_ranges is not None:
            self._send_ranges.leave_out(start, start + samples)
        self._pass_over(samples)
        # Nothing was sent that an answer could tell of.
        self._acknowledge()

    async def _give_up(self, samples: int) -> None:
        """Leave sound out that has waited for too long; what is said before it and behind it are two turns."""
        start, end = self._tape.sent, self._tape.sent + samples
        self._look_for_speech(start)
        if self._speech:
            await self._commit(tail=True)
            return
        if self._marks is not None:
            self._marks.leave_out(start, end)
        if self._send_ranges is not None:
            for part in self._send_ranges.unsent(start, end):
                self._send_ranges.leave_out(*part)
        if not self._session.wire.wire:
            self._session.begins(end)
        self._pass_over(samples)
        # An endpoint that has read nothing yet has not come any further by this.
        if self._sender.acknowledged:
            self._acknowledge()

    def _pass_over(self, samples: int) -> None:
        self._tape.mark_sent(self._tape.sent + samples)
        self._session.wire.skipped(samples)
        self._state.sound.notify()  # there is room on the tape

    def _acknowledge(self) -> None:
        self._tape.mark_acknowledged(self._session.wire.timeline(self._sender.acknowledged))
        self._session.reads(self._tape.acknowledged)

    async def _send(self, step: Send) -> None:
        now = self._clock.now()
        if (allowed := self._allowance.take(step.samples, now)) > now:
            await self._clock.sleep_until(allowed)
        await self._sender.room(step.samples)
        if self._held or self._tape.sent < self._tape.oldest:
            return
        messages, samples = self._load(step)
        self._note_sent(samples)
        await self._sender.audio(messages, samples)
        self._tell_probe()

    def _send_at_once(self, step: Send) -> bool:
        """Send it if that needs no waiting; False if it does: nothing was sent then."""
        if not self._sender.free(step.samples) or not self._allowance.take_now(step.samples, self._clock.now()):
            return False
        messages, samples = self._load(step)
        self._sender.audio_at_once(messages, samples)
        self._note_sent(samples)
        self._tell_probe()
        return True

    def _load(self, step: Send) -> tuple[Sequence[bytes], int]:
        """The messages of the next chunks, and how many samples they hold.

        Where anything may go at any time chunks go together, in one message if nobody asked for a size.
        """
        start, size, count = self._tape.sent, step.samples, 1
        if step.alike and self._allowance.unlimited:
            count = max(1, min(1 + step.alike, self._sender.spare // size))
        samples = size * count
        if not self._state.sizes.fixed:
            size = samples
        return append_events(self._tape.read(start, start + samples), size * BYTES_PER_SAMPLE), samples

    def _note_sent(self, samples: int) -> None:
        end = self._tape.sent + samples
        self._look_for_speech(end)
        self._tape.mark_sent(end)
        self._session.wire.sent(samples)
        self._state.meter.add(samples)

    def _tell_probe(self) -> None:
        if self._state.probe is not None:
            self._state.probe.sent(self._tape.sent)

    def _look_for_speech(self, end: int) -> None:
        """Tell of a turn that opens before ``end``, perhaps in what was sent already: speech is noticed late."""
        if self._marks is None or self._speech:
            return
        opens = self._marks.opens_in(self._committed_at, end)
        if opens is not None:
            self._speech = True
            self._session.speech_opens(opens, self._clock.now())

    async def _pad(self, samples: int) -> None:
        self.padding += samples
        self._session.wire.padded(samples)
        self._state.meter.add(samples)
        await self._sender.audio([append_event(silence(samples))], samples)

    async def _commit(self, *, tail: bool = False) -> None:
        missing = to_samples(MIN_COMMIT_MS, self._tape.rate_hz) - (self._session.wire.wire - self._committed_wire)
        if missing > 0:
            await self._pad(missing)
        event_id = f"rt_commit_{next(self._ids)}"
        self._session.committing(event_id, self._clock.now(), speech=self._speech or self._marks is None, tail=tail)
        self._committed_at = self._tape.sent
        self._committed_wire = self._session.wire.wire
        self._speech = False
        await self._sender.control(commit_event(event_id))

    async def _finish(self) -> None:
        """Always commit what is left: the answer proves that everything was read."""
        if self._session.wire.wire > self._committed_wire or (self._marks is None and self._session.wire.wire):
            await self._commit(tail=True)
        self._state.apply(self._session.drain())
