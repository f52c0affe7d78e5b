"""Commands of mute and push to talk: the state after them, and the samples that are sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.audio.speech.gate import PRE_ROLL_MS
from rt_cli.events import ControlChanged
from rt_cli.streaming.capture.push_to_talk import (
    COMMANDS,
    POST_ROLL_MS,
    Command,
    ControlState,
    PushToTalk,
    apply_command,
)
from rt_cli.streaming.delivery.next_action import ChunkSizes, CommitTurn, Finish, Send, Skip, Wait, decide
from rt_cli.timeline.tape import Tape

RATE = 1000
"""Samples are milliseconds, so that positions can be read."""
IDLE = ControlState(push_to_talk=True)
TALKING = ControlState(push_to_talk=True, talking=True)
OPEN = ControlState()


@pytest.mark.parametrize(
    ("before", "command", "after"),
    [
        (IDLE, "start", TALKING),
        (IDLE, "stop", IDLE),
        (IDLE, "toggle", TALKING),
        (TALKING, "start", TALKING),
        (TALKING, "stop", IDLE),
        (TALKING, "toggle", IDLE),
        (TALKING, "mute", ControlState(push_to_talk=True, talking=True, muted=True)),
        (OPEN, "mute", ControlState(muted=True)),
        (ControlState(muted=True), "mute", OPEN),
        (OPEN, "start", OPEN),
        (OPEN, "toggle", OPEN),
        (OPEN, "quit", ControlState(ended=True)),
        (TALKING, "quit", ControlState(push_to_talk=True, talking=True, ended=True)),
        (ControlState(ended=True), "mute", ControlState(ended=True)),
        (ControlState(push_to_talk=True, ended=True), "toggle", ControlState(push_to_talk=True, ended=True)),
    ],
)
def test_a_command(before: ControlState, command: Command, after: ControlState) -> None:
    """One at a time; a command without effect changes nothing, and no command counts after ``quit``."""
    assert apply_command(before, command) == after


def test_changes_are_reported_once() -> None:
    """With their position; a command without effect reports nothing."""
    changes: list[ControlChanged] = []
    control = PushToTalk(RATE, push_to_talk=True, on_change=changes.append)
    for at, command in enumerate(["start", "start", "mute", "stop", "stop", "quit"]):
        control.captured(at * 1000)
        control.apply(command)  # type: ignore[arg-type]

    assert changes == [
        ControlChanged(0, muted=False, talking=True),
        ControlChanged(2000, muted=True, talking=True),
        ControlChanged(3000, muted=True, talking=False),
    ]


def test_without_push_to_talk_only_mute_has_an_effect() -> None:
    """``talking`` stays off."""
    changes: list[ControlChanged] = []
    control = PushToTalk(RATE, on_change=changes.append)
    for command in ("start", "mute", "toggle", "mute"):
        control.apply(command)  # type: ignore[arg-type]

    assert changes == [ControlChanged(0, muted=True, talking=None), ControlChanged(0, muted=False, talking=None)]


class Sending:
    """A tape, and a pump that sends all that it may at once."""

    def __init__(self, control: PushToTalk, *, chunk: int = 40) -> None:
        self.tape = Tape(RATE)
        self.sent: list[int] = []
        self.commits: list[int] = []
        self._control = control
        self._sizes = ChunkSizes(chunk, 1000)

    def capture(self, samples: int) -> None:
        """Append ``samples`` samples."""
        self.tape.append(bytes(2 * samples))
        self._control.captured(self.tape.captured)
        self.pump(ended=False)

    def end(self) -> None:
        """End capture."""
        self._control.captured(self.tape.captured, ended=True)
        assert self.pump(ended=True) == Finish()

    def pump(self, *, ended: bool) -> object:
        """Do all possible actions; return the last one."""
        marks, send_ranges, tape = self._control.marks, self._control.send_ranges, self.tape
        while True:
            sent, last = tape.sent, self.commits[-1] if self.commits else -1
            step = decide(
                sent=sent,
                known=marks.analysed,
                captured=tape.captured,
                ended=ended,
                closes=marks.closes_after(max(sent, last + 1)),
                sizes=self._sizes,
                send_range=send_ranges.at(sent),
            )
            match step:
                case Send(samples):
                    self.sent += range(sent, sent + samples)
                    tape.mark_sent(sent + samples)
                case Skip(samples):
                    send_ranges.leave_out(sent, sent + samples)
                    tape.mark_sent(sent + samples)
                case CommitTurn():
                    self.commits.append(sent)
                case Wait() | Finish():
                    return step
            assert tape.ledger().balanced


STEPS = st.lists(st.one_of(st.integers(0, 900), st.sampled_from([c for c in COMMANDS if c != "quit"])), max_size=40)


@given(steps=STEPS)
def test_only_audio_while_talking_is_sent(steps: list[int | Command]) -> None:
    """From the pre-roll to the post-roll, each sample once, each turn with its commit, for any commands."""
    control = PushToTalk(RATE, push_to_talk=True)
    sending = Sending(control)
    turns: list[list[int]] = []
    for step in steps:
        now = sending.tape.captured
        if isinstance(step, int):
            sending.capture(step)
            continue
        talking = control.controls.talking
        control.apply(step)
        if control.controls.talking and not talking:
            turns.append([max(now - PRE_ROLL_MS, turns[-1][1] if turns else 0), 10**9])
        elif talking and not control.controls.talking:
            turns[-1][1] = max(now, turns[-1][0]) + POST_ROLL_MS
    sending.end()
    captured = sending.tape.captured
    wanted = [at for at in range(captured) if any(start <= at < end for start, end in turns)]

    assert sending.sent == wanted
    assert sending.commits == [end for _, end in turns if end <= captured]
    assert control.send_ranges.left_out == captured - len(wanted)
    assert sending.tape.sent == captured


@given(steps=STEPS, settled=st.integers(0, 20_000))
def test_a_replay_sends_the_same(steps: list[int | Command], settled: int) -> None:
    """After a lost connection the same parts are left out, and are counted once."""
    control = PushToTalk(RATE, push_to_talk=True)
    sending = Sending(control, chunk=1)
    for step in steps:
        if isinstance(step, int):
            sending.capture(step)
        else:
            control.apply(step)
    first, left_out = list(sending.sent), control.send_ranges.left_out
    settled = min(settled, sending.tape.sent)
    sending.tape.settle(settled)
    control.send_ranges.forget(settled)
    sending.tape.rewind()
    sending.sent, sending.commits = [], [settled]
    sending.pump(ended=False)

    assert sending.sent == [at for at in first if at >= settled]
    assert control.send_ranges.left_out == left_out
