"""What of the sound is sent and where turns close, as the settings want it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from rt_cli.audio.speech.gate import LONGEST_THOUGHT_MS, SendRanges
from rt_cli.streaming.capture.turn_analysis import TurnAnalysis

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.settings import Settings, TurnDetection
    from rt_cli.streaming.capture.capture import TapeFeeder
    from rt_cli.streaming.capture.push_to_talk import PushToTalk
    from rt_cli.streaming.capture.turn_analysis import Detector
    from rt_cli.streaming.capture.turn_marks import TurnMarks
    from rt_cli.streaming.timing.change_signal import ChangeSignal
    from rt_cli.timeline.tape import Tape


class SendPolicy(Struct, frozen=True):
    """What the pump goes by."""

    analysis: TurnAnalysis | None
    """To be run beside the capture."""
    marks: TurnMarks | None
    """None where the endpoint finds the turns."""
    send_ranges: SendRanges | None
    """None where everything is sent."""


def select(
    settings: Settings,
    turns: TurnDetection,
    *,
    tape: Tape,
    capture: TapeFeeder,
    changed: ChangeSignal,
    control: PushToTalk,
    make_detector: Callable[[int], Detector],
    on_quiet: Callable[[], None],
) -> SendPolicy:
    """Choose by the settings.

    Args:
        settings: ``ptt``, ``gate``, ``stop_after_silence_s``, and what speech is.
        turns: Who makes the turns.
        tape: What is heard.
        capture: Fills it.
        changed: Notified when there is more sound, and when more is known of it.
        control: Who may be heard.
        make_detector: Of speech.
        on_quiet: Told when nobody has spoken for ``stop_after_silence_s``; of live sources only.
    """
    by_hand = settings.input.ptt
    gated = SendRanges(tape.captured) if settings.input.gate and not by_hand else None
    quiet_s = settings.input.stop_after_silence_s if capture.live else None
    makes_turns = turns == "client" and not by_hand
    analysis = None
    if makes_turns or gated is not None or quiet_s is not None:
        analysis = TurnAnalysis(
            tape,
            capture,
            changed,
            settings.session,
            make_detector,
            makes_turns=makes_turns,
            send_ranges=gated,
            hang_ms=LONGEST_THOUGHT_MS if turns == "semantic_vad" else None,
            quiet_s=quiet_s,
            on_quiet=on_quiet,
        )
    if by_hand:
        return SendPolicy(analysis, control.marks, control.send_ranges)
    return SendPolicy(analysis, analysis.marks if analysis is not None and makes_turns else None, gated)
