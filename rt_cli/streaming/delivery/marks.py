"""One owner of the marks: *sent*, *acknowledged* and *settled* move here, and with them all that counts along.

The tape has the marks of the timeline, the wire map those of the present connection, the meter the audio to be paid
for, and the session decides what is settled. They agree after each method of :class:`Marks`; no other code moves them.
*Captured* is moved by the capture alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.audio.format import to_ms
from rt_cli.events import Dropped
from rt_cli.protocol.session.effects import Acknowledge, Drop, Fail, Report, Settle, TurnFinished

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rt_cli.audio.speech.gate import SendRanges
    from rt_cli.events import EventHandler, Ledger
    from rt_cli.protocol.session.effects import Effect
    from rt_cli.protocol.session.session import Session
    from rt_cli.streaming.capture.spool_writer import SpoolWriter
    from rt_cli.streaming.capture.turn_marks import TurnMarks
    from rt_cli.streaming.conversation_hooks import ConversationHooks
    from rt_cli.streaming.cost import Meter
    from rt_cli.streaming.delivery.sender import Sender
    from rt_cli.timeline.tape import Hole, Tape


def dropped(hole: Hole, rate_hz: int) -> Dropped:
    """Return the event that reports a hole."""
    return Dropped(to_ms(hole.start, rate_hz), to_ms(hole.end, rate_hz), hole.reason)


class Marks:
    """Moves the marks of a run, and executes the effects of its session.

    Args:
        tape: The marks of the timeline.
        session: Its wire map has the samples of the present connection.
        meter: Counts what is sent on all connections.
        rewind_tape: Takes *sent* and *acknowledged* of the tape back to *settled*, and sees to what that costs.
        on_change: Called after effects.
        on_event: Receives the events of the session, and each new hole.
        spool_writer: Writes the effects to the spool; None without one.
        turn_marks: Forgets what is settled; None if the endpoint detects turns.
        send_ranges: Forgets what is settled; None if all audio is sent.
        conversation: Learns of the ends of turns; None for a transcription.
    """

    def __init__(
        self,
        tape: Tape,
        session: Session,
        meter: Meter,
        *,
        rewind_tape: Callable[[], object],
        on_change: Callable[[], None],
        on_event: EventHandler,
        spool_writer: SpoolWriter | None = None,
        turn_marks: TurnMarks | None = None,
        send_ranges: SendRanges | None = None,
        conversation: ConversationHooks | None = None,
    ) -> None:
        self.padding = 0
        """Samples of silence sent as padding on all connections, outside the sum of the ledger."""
        self._tape = tape
        self._session = session
        self._meter = meter
        self._rewind_tape = rewind_tape
        self._on_change = on_change
        self._on_event = on_event
        self._spool_writer = spool_writer
        self.turn_marks = turn_marks
        """Where turns close; None if the endpoint detects turns."""
        self._send_ranges = send_ranges
        self._conversation = conversation
        self._sender: Sender | None = None

    def ledger(self) -> Ledger:
        """Count the captured samples by their present state."""
        return self._tape.ledger(self.padding)

    # -- the present connection ---------------------------------------------------------------------------------------

    def connect(self, sender: Sender) -> None:
        """Begin a connection: audio is sent by ``sender`` from now on, from *settled* on."""
        self._sender = sender

    def sent(self, samples: int) -> None:
        """Note that the connection has taken the next ``samples`` of the timeline."""
        self._tape.mark_sent(self._tape.sent + samples)
        self._session.wire.sent(samples)
        self._meter.add(samples)

    def padded(self, samples: int) -> None:
        """Note that the connection gets ``samples`` of silence that are not on the timeline."""
        self.padding += samples
        self._session.wire.padded(samples)
        self._meter.add(samples)

    def skipped(self, samples: int) -> None:
        """Note that the next ``samples`` of the timeline are not sent.

        No pong or event will acknowledge them: they count as acknowledged together with the audio before them.
        """
        self._pass_over(samples)
        self.acknowledged(self._read)

    def given_up(self, samples: int) -> None:
        """Like :meth:`skipped`, but an endpoint that has read no audio yet makes no progress by a gap."""
        if not self._session.wire.wire:
            self._session.begins(self._tape.sent + samples)
        self._pass_over(samples)
        if self._read:
            self.acknowledged(self._read)

    def acknowledged(self, wire: int) -> None:
        """Note that the endpoint has read the first ``wire`` samples of the connection; the mark never goes back."""
        self._tape.mark_acknowledged(self._session.wire.timeline(wire))
        self.apply(self._session.reads(self._tape.acknowledged))

    def rewind(self) -> None:
        """End a connection: on the next one, *sent* and *acknowledged* begin at *settled* again."""
        self._sender = None
        self._rewind_tape()
        self.apply(self._session.connect())

    def _pass_over(self, samples: int) -> None:
        self._tape.mark_sent(self._tape.sent + samples)
        self._session.wire.skipped(samples)

    @property
    def _read(self) -> int:
        """Samples of the connection that the endpoint has read."""
        return 0 if self._sender is None else self._sender.acknowledged

    # -- effects of the session ---------------------------------------------------------------------------------------

    def apply(self, effects: Sequence[Effect]) -> None:
        """Execute the effects of the session. Raises the error of a ``Fail``.

        An acknowledgement comes first: it is what the other effects follow from. The spool has a final before the
        final is reported.
        """
        for effect in effects:
            if isinstance(effect, Acknowledge) and self._sender is not None:
                self._sender.acknowledge(effect.wire)
        if self._spool_writer is not None:
            self._spool_writer.write_effects(effects)
        for effect in effects:
            self._execute(effect)
        self._on_change()

    def _execute(self, effect: Effect) -> None:
        match effect:
            case Settle(to):
                self._settle(to)
            case Drop(start, end, reason):
                for hole in self._tape.drop(start, end, reason):
                    self._on_event(dropped(hole, self._tape.rate_hz))
            case Report(event):
                self._on_event(event)
            case TurnFinished(item_ids, number, text):
                if self._conversation is not None:
                    self._conversation.turn_ended(item_ids, number, text)
            case Fail(error):
                raise error

    def _settle(self, to: int) -> None:
        self._tape.settle(to)
        if self.turn_marks is not None:
            self.turn_marks.forget(to)
        if self._send_ranges is not None:
            self._send_ranges.forget(to)
