"""Mute and push to talk: from commands to the state of the microphone, and to turns. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from rt_cli.audio.format import to_ms, to_samples
from rt_cli.audio.speech.endpointing import TurnCloses, TurnOpens
from rt_cli.audio.speech.gate import PRE_ROLL_MS, SendRanges
from rt_cli.events import ControlChanged
from rt_cli.streaming.capture.turn_marks import TurnMarks

if TYPE_CHECKING:
    from collections.abc import Callable

Command = Literal["start", "stop", "toggle", "mute", "quit"]
COMMANDS: tuple[Command, ...] = get_args(Command)

POST_ROLL_MS = 200
"""Audio kept after the end of talking: the device delivers the last words late."""


class ControlState(Struct, frozen=True):
    """The state after all commands so far."""

    push_to_talk: bool = False
    talking: bool = False
    """With push to talk: audio is sent."""
    muted: bool = False
    """Silence replaces the audio."""
    ended: bool = False
    """After ``quit``: further commands have no effect."""


def apply_command(controls: ControlState, command: Command) -> ControlState:
    """Return the state after a command; a command without effect in this state changes nothing."""
    if controls.ended:
        return controls
    talking = {"start": True, "stop": False, "toggle": not controls.talking}.get(command, controls.talking)
    return replace(
        controls,
        talking=controls.push_to_talk and talking,
        muted=controls.muted != (command == "mute"),
        ended=command == "quit",
    )


class PushToTalk:
    """Applies commands to the audio of one run, exact to the sample.

    With push to talk each span of talking is one turn; the rest is captured and not sent.

    Args:
        rate_hz: Sample rate of the timeline.
        push_to_talk: Send audio only while talking.
        on_change: Receives every change.
    """

    def __init__(
        self,
        rate_hz: int,
        *,
        push_to_talk: bool = False,
        on_change: Callable[[ControlChanged], None] = lambda _change: None,
    ) -> None:
        self.controls = ControlState(push_to_talk=push_to_talk)
        self.send_ranges = SendRanges()
        self.marks = TurnMarks()
        self._captured = 0
        self._rate_hz = rate_hz
        self._pre_roll = to_samples(PRE_ROLL_MS, rate_hz)
        self._post_roll = to_samples(POST_ROLL_MS, rate_hz)
        self._opened = self._closes = 0
        self._on_change = on_change

    @property
    def muted(self) -> bool:
        """Whether silence replaces the captured audio."""
        return self.controls.muted

    def apply(self, command: Command) -> None:
        """Apply a command at the last captured sample."""
        before, self.controls = self.controls, apply_command(self.controls, command)
        if self.controls.talking and not before.talking:
            self._opened = self.send_ranges.open(self._captured - self._pre_roll)
            self.marks.add([TurnOpens(self._opened)])
        elif before.talking and not self.controls.talking:
            # At least the post-roll, so that there is audio to commit even after two keys in quick succession.
            self._closes = self.send_ranges.close(max(self._captured, self._opened) + self._post_roll)
            self.marks.add([TurnCloses(self._closes)])
        if (before.talking, before.muted) != (self.controls.talking, self.controls.muted):
            self.report()

    def captured(self, to: int, *, ended: bool = False) -> None:
        """Note that all audio before ``to`` is captured.

        Args:
            to: Timeline position.
            ended: Capture has ended.
        """
        self._captured = to
        if not self.controls.push_to_talk:
            return
        silent = not (ended or self.controls.talking)
        known = min(to, max(self._closes, to - self._pre_roll)) if silent else to
        self.send_ranges.decided(known)
        self.marks.known(known)

    def report(self) -> None:
        """Report the present state."""
        talking = self.controls.talking if self.controls.push_to_talk else None
        self._on_change(ControlChanged(to_ms(self._captured, self._rate_hz), self.controls.muted, talking))
