"""``rt stream``: stream live sound from the microphone or a pipe."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import typer

from rt_cli.cli import options
from rt_cli.cli.process import run_loop, stdin_is_piped, warn_of_variables
from rt_cli.config.layers import settings_of
from rt_cli.errors import UsageError

Input = Annotated[str | None, typer.Argument(metavar="[-]", help="- reads raw PCM or WAV from stdin, live.")]
Mic = Annotated[bool, typer.Option("--mic", help="Capture the microphone.", rich_help_panel="Sound")]


@options.with_settings("stream")
def stream(
    source: Input = None,
    mic: Mic = False,
    device: options.Setting = None,
    spool: options.SpoolDir = None,
    on_full: options.Setting = None,
    ptt: options.Setting = None,
    ptt_fifo: options.Setting = None,
    stop_after_silence: options.Setting = None,
    output_audio: options.OutputAudio = None,
    **values: Any,
) -> int:
    """Stream the microphone or a pipe, and print what is said.

    Examples:
        rt stream --mic
        ffmpeg -i URL -f wav - | rt stream -
    """
    if source not in (None, "-"):
        raise UsageError(f"rt stream takes --mic or -, not {source}", f"for a file: rt send {source}")
    if source is None and not mic:
        # A device is a microphone; without one, what is piped in is meant.
        mic = device is not None
        source = None if mic or not stdin_is_piped() else "-"
    if mic == (source is not None):
        problem = "both --mic and -" if mic else "nothing to stream"
        raise UsageError(problem, "rt stream --mic, or rt stream - for a pipe")
    if spool is not None and (ptt or ptt_fifo):
        raise UsageError("--spool keeps on disk what --ptt is not to send", "give one of them")
    push_to_talk = {"ptt": bool(ptt or ptt_fifo), "ptt_fifo": ptt_fifo, "stop_after_silence": stop_after_silence}
    settings = settings_of({"device": device, "on_full": on_full, **push_to_talk, **values})
    warn_of_variables(quiet=settings.output.quiet)
    if spool is not None and settings.delivery.on_full != "spool":
        raise UsageError(
            f"--spool keeps everything on disk, so --on-full {settings.delivery.on_full} has nothing to do",
            "leave out one of them, or give --on-full spool",
        )
    from rt_cli.cli.controls.controls import open_controls
    from rt_cli.run.run import CommandRun
    from rt_cli.run.sources import live_source, microphone_source

    if mic:
        named_source = microphone_source(settings.input, spool, retry_for_s=settings.delivery.retry_for_s)
    else:
        named_source = live_source(settings.input, spool)
    controls = partial(open_controls, settings, keys=mic)
    return run_loop(CommandRun(settings, [named_source], open_controls=controls, output_audio=output_audio).run)
