"""Faults planted into the program, each of a kind that some project has had: the simulation must find every one."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tests.simulation.plant import plant, replace

if TYPE_CHECKING:
    from collections.abc import Callable

SENDER, PUMP, SESSION = "streaming.delivery.sender", "streaming.delivery.pump", "protocol.session.session"
SPOOL_WRITER, TURNS = "streaming.capture.spool_writer", "protocol.session.turn_list"


# -- sending ----------------------------------------------------------------------------------------------------------


@plant
def _release_skipped() -> None:
    """The lane is not released after a control message."""
    import asyncio

    def make(old: Any) -> Any:
        async def leave(self: Any, *args: Any) -> None:
            self.left = getattr(self, "left", 0) + 1
            if self.left != 3:
                await old(self, *args)

        return leave

    asyncio.BoundedSemaphore.__aexit__ = make(asyncio.BoundedSemaphore.__aexit__)  # type: ignore[method-assign]


@plant
def _window_ignored() -> None:
    """Any amount of sound may be unacknowledged."""
    replace(SENDER, "Sender._fits", lambda _old: lambda _self, _samples: True)


@plant
def _sent_is_acknowledged() -> None:
    """A write that returned counts as read."""

    def make(old: Any) -> Any:
        def audio(self: Any, messages: Any, samples: int) -> None:
            old(self, messages, samples)
            self.acknowledge(self.sent)

        return audio

    replace(SENDER, "Sender.audio_at_once", make)


@plant
def _chunk_lost() -> None:
    """Every thirtieth chunk counts as sent, and is not."""
    _every_thirtieth(lambda _messages: ())


@plant
def _chunk_doubled() -> None:
    """Every thirtieth chunk is sent twice."""
    _every_thirtieth(lambda messages: (*messages, *messages))


def _every_thirtieth(change: Callable[[Any], Any]) -> None:
    def make(old: Any) -> Any:
        def audio(self: Any, messages: Any, samples: int) -> None:
            self.chunks = getattr(self, "chunks", 0) + 1
            old(self, messages if self.chunks % 30 else change(messages), samples)

        return audio

    replace(SENDER, "Sender.audio_at_once", make)


@plant
def _first_words_skipped() -> None:
    """What was captured before the endpoint was ready is not sent."""

    def make(old: Any) -> Any:
        async def run(self: Any) -> None:
            self._marks.skipped(self._tape.captured - self._tape.sent)
            await old(self)

        return run

    replace(PUMP, "Pump.run", make)


@plant
def _tail_not_committed() -> None:
    """The last turn that rt makes is left open."""

    async def nothing(_self: Any) -> None:
        pass

    replace(PUMP, "Pump._commit_speech", lambda _old: nothing)


@plant
def _silence_committed() -> None:
    """The tail is committed whether or not anybody speaks in it."""

    def make(_old: Any) -> Any:
        async def commit(self: Any) -> None:
            await self._commit(tail=True)

        return commit

    replace(PUMP, "Pump._commit_speech", make)


# -- connections ------------------------------------------------------------------------------------------------------


@plant
def _rewind_forgotten() -> None:
    """A new connection goes on where the old one was."""
    replace("streaming.capture.capture", "TapeFeeder.rewind", lambda _old: lambda _self: None)


@plant
def _retry_without_delay() -> None:
    """The next try follows at once."""
    replace("streaming.delivery.backoff", "Backoff._delay", lambda _old: lambda _self, _error, _longest_s: 0.0)


@plant
def _retry_for_ever() -> None:
    """No error ends the run."""
    replace("streaming.delivery.backoff", "Backoff.after", lambda _old: lambda _self, _attempt: 5.0)


@plant
def _dead_peer_believed() -> None:
    """Nobody looks for signs of life."""
    replace("streaming.delivery.link", "health", lambda _old: lambda _vitals, **_options: "alive")
    replace("streaming.delivery.link", "gives_up", lambda _old: lambda _progress, **_options: False)


@plant
def _connection_left_open() -> None:
    """A connection that has ended is not closed."""

    async def nothing(*_args: Any) -> None:
        pass

    replace("streaming.transport.connection", "Connection.close", lambda _old: nothing)
    replace("streaming.transport.connection", "Connection.abort", lambda _old: lambda _self: None)


@plant
def _signal_ignored() -> None:
    """Ctrl-C does nothing."""
    replace("streaming.streamer", "Streamer.interrupt", lambda _old: lambda _self, _exit_code: None)


# -- turns and marks --------------------------------------------------------------------------------------------------


@plant
def _final_twice_after_replay() -> None:
    """A final does not move the settled mark: its sound is heard again."""

    def make(old: Any) -> Any:
        def settle(self: Any, to: int) -> Any:
            return old(self, to) if self._deadlines.draining else []

        return settle

    replace(SESSION, "Session._settle", make)


@plant
def _repeated_final_printed() -> None:
    """An event that comes twice counts twice."""
    replace(TURNS, "TurnList.is_repeated", lambda _old: lambda _self, _item_id: False)
    replace(TURNS, "TurnList.find_by_transcript", lambda old: lambda self, name: old(self, name) or _new(self))


def _new(turns: Any) -> Any:
    turn = import_module(f"rt_cli.{TURNS}").Turn(0.0)
    turn.end = turns.covered
    return turns.append(turn)


@plant
def _finals_as_they_come() -> None:
    """A final is printed although an earlier turn is open."""

    def make(old: Any) -> Any:
        def take(self: Any, position: int) -> Any:
            self.open.sort(key=lambda turn: not turn.done)
            return old(self, position)

        return take

    replace(TURNS, "TurnList.take_done", make)


@plant
def _end_without_finals() -> None:
    """The end does not wait for open turns."""
    replace(SESSION, "Session.drained", lambda _old: property(lambda self: self._deadlines.draining))


@plant
def _partial_is_final() -> None:
    """A snapshot of a turn under way counts as its final."""

    def make(_old: Any) -> Any:
        def snapshot(self: Any, event: Any, now: float) -> Any:
            events = import_module("rt_cli.protocol.server_events")
            return self._completed(events.TranscriptCompleted(event.item_id, event.text), now)

        return snapshot

    replace("protocol.session.connection_turns", "ConnectionTurns._snapshot", make)


@plant
def _padding_on_the_timeline() -> None:
    """Silence that rt adds counts as captured sound."""
    replace("protocol.session.wire_map", "WireMap.padded", lambda _old: lambda self, samples: self.sent(samples))


@plant
def _hole_not_reported() -> None:
    """Sound that is lost is in the ledger only."""

    def make(old: Any) -> Any:
        def drop(self: Any, start: int, end: int, reason: Any) -> Any:
            old(self, start, end, reason)
            return []

        return drop

    replace("timeline.tape", "Tape.drop", make)


@plant
def _hole_counted_twice() -> None:
    """The ledger counts a hole before and behind the settled mark."""
    replace(
        "timeline.tape",
        "Tape.dropped",
        lambda old: property(lambda self: 2 * old.fget(self)),
    )


@plant
def _failure_is_silence() -> None:
    """A turn that was not transcribed settles as if nobody had spoken."""
    replace("protocol.session.outcomes", "failure_effects", lambda _old: lambda *_args: [])


# -- the disk ---------------------------------------------------------------------------------------------------------


@plant
def _mark_before_the_final() -> None:
    """The spool has the settled mark before the final that justifies it."""

    def make(old: Any) -> Any:
        def note(self: Any, *records: Any) -> None:
            for record in records:
                record.pop("settled", None)
            old(self, *sorted(records, key=lambda record: record["type"] != "settled"))

        return note

    replace(SPOOL_WRITER, "SpoolWriter._note", make)


@plant
def _printed_before_the_record() -> None:
    """A final is printed before the spool has it."""
    replace(SPOOL_WRITER, "SpoolWriter.report", lambda _old: lambda self, event: self._on_event(event))


@plant
def _spool_always_removed() -> None:
    """The spool goes although not all of it was delivered."""
    replace(SPOOL_WRITER, "SpoolWriter.close", lambda old: lambda self, **_options: old(self, delivered=True))


@plant
def _resume_from_the_start() -> None:
    """A resumed run sends all that the spool has."""

    def make(old: Any) -> Any:
        def read(text: bytes, ends: Any) -> Any:
            contents = old(text, ends)
            contents.settled = 0
            return contents

        return read

    replace("timeline.spool", "read_journal", make)


@plant
def _records_written_on_the_loop() -> None:
    """A slow disk holds up the run."""

    def make(_old: Any) -> Any:
        def note(self: Any, *records: Any) -> None:
            self._spool.note(*records)

        return note

    replace(SPOOL_WRITER, "SpoolWriter._note", make)


@plant
def _slow_call_on_the_loop() -> None:
    """Each final takes 60 ms of the event loop."""
    import time

    def make(old: Any) -> Any:
        def final(*args: Any, **options: Any) -> Any:
            time.sleep(0.06)
            return old(*args, **options)

        return final

    replace("protocol.session.outcomes", "final", make)


# -- results ----------------------------------------------------------------------------------------------------------


@plant
def _queued_is_printed() -> None:
    """A line that waits for its reader counts as written."""

    def make(old: Any) -> Any:
        def write(self: Any, line: str, *, on_written: Any = None, on_lost: Any = None, **options: Any) -> None:
            del on_lost
            if on_written is not None:
                on_written()
            old(self, line, **options)

        return write

    replace("output.line_writer", "LineWriter.write", make)


@plant
def _lines_written_on_the_loop() -> None:
    """A slow reader of stdout holds up the run."""

    def make(_old: Any) -> Any:
        def write(self: Any, line: str, *, on_written: Any = None, on_lost: Any = None, **_options: Any) -> None:
            after = on_written
            try:
                self._sink.write(line + "\n")
            except BrokenPipeError:
                after = on_lost
            if after is not None:
                after()

        return write

    replace("output.line_writer", "LineWriter.write", make)


@plant
def _unwritten_not_said() -> None:
    """Words without a reader vanish."""
    replace("output.output", "Output.report_unwritten", lambda _old: lambda _self: None)


@plant
def _exit_code_zero() -> None:
    """All is well, whatever happened."""
    replace("streaming.outcome", "RunOutcome.exit_code", lambda _old: property(lambda _self: 0))
