"""Which audio is sent and where turns close, chosen by the settings."""

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
    """The rules that the pump follows."""

    analysis: TurnAnalysis | None
    """Runs beside the capture; None if nothing needs speech detection."""
    marks: TurnMarks | None
    """Where turns open and close; None if the endpoint detects turns."""
    send_ranges: SendRanges | None
    """Which parts are sent; None if all audio is sent."""


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
    """Choose the policy from the settings.

    Args:
        settings: ``ptt``, ``gate``, ``stop_after_silence_s``, and the detector settings of the session.
        turns: Which side detects turns.
        tape: The captured audio.
        capture: Fills the tape.
        changed: Notified on new audio and on new analysis results.
        control: Mute and push to talk.
        make_detector: Makes the speech detector. Argument: rate in Hz.
        on_quiet: Called after ``stop_after_silence_s`` without speech; for live sources only.
    """
    push_to_talk = settings.input.ptt
    send_ranges = SendRanges(tape.captured) if settings.input.gate and not push_to_talk else None
    quiet_s = settings.input.stop_after_silence_s if capture.live else None
    makes_turns = turns == "client" and not push_to_talk
    analysis = None
    if makes_turns or send_ranges is not None or quiet_s is not None:
        analysis = TurnAnalysis(
            tape,
            capture,
            changed,
            settings.session,
            make_detector,
            makes_turns=makes_turns,
            send_ranges=send_ranges,
            hang_ms=LONGEST_THOUGHT_MS if turns == "semantic_vad" else None,
            quiet_s=quiet_s,
            on_quiet=on_quiet,
        )
    if push_to_talk:
        return SendPolicy(analysis, control.marks, control.send_ranges)
    return SendPolicy(analysis, analysis.marks if analysis is not None and makes_turns else None, send_ranges)
