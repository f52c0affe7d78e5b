"""Who may be heard: commands in, talking, muted and over out; with push to talk, also the turns. Pure."""

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
"""Sound kept from after the end of talking: what was said by then has not come through the device yet."""


class ControlState(Struct, frozen=True):
    """What the commands so far come to."""

    push_to_talk: bool = False
    talking: bool = False
    """With push to talk: what is said is sent."""
    muted: bool = False
    """Silence takes the place of what is said."""
    ended: bool = False
    """Nothing more counts."""


def obeyed(controls: ControlState, command: Command) -> ControlState:
    """What a command makes of them; one that means nothing now changes nothing."""
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
    """Carries out commands on the sound of one run, sample by sample.

    With push to talk each send_range of talking is one turn; the rest is captured and not sent.

    Args:
        rate_hz: Of the timeline.
        push_to_talk: Nothing is sent but while talking.
        start: Timeline position at which the run begins.
        on_change: Told of every change.
    """

    def __init__(
        self,
        rate_hz: int,
        *,
        push_to_talk: bool = False,
        start: int = 0,
        on_change: Callable[[ControlChanged], None] = lambda _change: None,
    ) -> None:
        self.controls = ControlState(push_to_talk=push_to_talk)
        self.send_ranges = SendRanges(start)
        self.marks = TurnMarks(start)
        self._captured = start
        self._rate_hz = rate_hz
        self._pre_roll = to_samples(PRE_ROLL_MS, rate_hz)
        self._post_roll = to_samples(POST_ROLL_MS, rate_hz)
        self._opened = self._closes = start
        self._on_change = on_change

    @property
    def muted(self) -> bool:
        """Whether silence is captured in place of what is said."""
        return self.controls.muted

    def obey(self, command: Command) -> None:
        """Carry a command out, at the sample that was captured last."""
        before, self.controls = self.controls, obeyed(self.controls, command)
        if self.controls.talking and not before.talking:
            self._opened = self.send_ranges.open(self._captured - self._pre_roll)
            self.marks.add([TurnOpens(self._opened)])
        elif before.talking and not self.controls.talking:
            # Never so little that there would be nothing to commit, however fast the keys.
            self._closes = self.send_ranges.close(max(self._captured, self._opened) + self._post_roll)
            self.marks.add([TurnCloses(self._closes)])
        if (before.talking, before.muted) != (self.controls.talking, self.controls.muted):
            self.tell()

    def captured(self, to: int, *, ended: bool = False) -> None:
        """Everything before ``to`` is captured now.

        Args:
            to: Timeline position.
            ended: No more will come.
        """
        self._captured = to
        if not self.controls.push_to_talk:
            return
        silent = not (ended or self.controls.talking)
        decided = min(to, max(self._closes, to - self._pre_roll)) if silent else to
        self.send_ranges.decided(decided)
        self.marks.analysed = max(self.marks.analysed, decided)

    def tell(self) -> None:
        """Say how things are."""
        talking = self.controls.talking if self.controls.push_to_talk else None
        self._on_change(ControlChanged(to_ms(self._captured, self._rate_hz), self.controls.muted, talking))
