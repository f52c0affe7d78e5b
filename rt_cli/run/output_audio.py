"""The sound of a translation, into a WAV file or to stdout: ``--output-audio`` of ``rt send`` and ``rt stream``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rt_cli.audio.format import BYTES_PER_SAMPLE
from rt_cli.disk.wav_stream import WavStream
from rt_cli.errors import UsageError
from rt_cli.streaming.capture.audio_recorder import AudioRecorder

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.events import EventHandler
    from rt_cli.settings import Settings

STDOUT = "-"


def check_output_audio(settings: Settings, output_audio: str | None, sources: int) -> None:
    """Refuse a place for the sound that cannot be used. Raises UsageError."""
    if output_audio is None:
        return
    if settings.session.translate is None:
        raise UsageError("--output-audio without --translate", "only a translation has sound: add --translate CODE")
    if sources > 1 or settings.input.channel == "split":
        raise UsageError("--output-audio is for one session", "send one file, without --channel split")
    output = settings.output
    if output_audio == STDOUT and output.output is None and output.output_dir is None and output.format != "text":
        raise UsageError(f"both {output.format} and --output-audio - write to stdout", "write one of them to a file")


class OutputAudio:
    """Appends the sound as it comes. After a cut the endpoint may say again what it has said.

    Args:
        output_audio: Path of a WAV file, or ``-``.
        rate_hz: Of the audio.
        on_event: Receives a warning on the first disk error.
        on_closed: Called on another thread when the reader of stdout is gone.
        replace: Whether a file may be replaced.

    Raises:
        UsageError: The file cannot be written, or exists already.
    """

    def __init__(
        self,
        output_audio: str,
        rate_hz: int,
        on_event: EventHandler,
        *,
        on_closed: Callable[[], None],
        replace: bool,
    ) -> None:
        self._samples = 0
        self._sink: WavStream | AudioRecorder
        if output_audio == STDOUT:
            self._sink = WavStream(rate_hz, "translation", on_closed)
        else:
            self._sink = AudioRecorder(Path(output_audio), rate_hz, on_event, replace=replace)

    @property
    def error(self) -> UsageError | None:
        """Why the sound is incomplete; None if it is not."""
        return self._sink.error

    def take(self, pcm: bytes) -> None:
        """Append int16 audio, mono. Returns at once and never raises."""
        if isinstance(self._sink, AudioRecorder):
            self._sink.sound(self._samples, pcm)
        else:
            self._sink.write(pcm)
        self._samples += len(pcm) // BYTES_PER_SAMPLE

    def close(self) -> None:
        """Write what is left. Blocks for seconds at most."""
        if isinstance(self._sink, AudioRecorder):
            self._sink.close(self._samples)
        else:
            self._sink.close()
