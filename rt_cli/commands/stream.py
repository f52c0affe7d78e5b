"""``rt stream``: sound that goes on whether or not anybody listens."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rt_cli.commands import options
from rt_cli.commands.given import settings_of
from rt_cli.errors import UsageError

Input = Annotated[str | None, typer.Argument(metavar="[-]", help="- reads raw PCM or WAV from stdin, live.")]
Mic = Annotated[bool, typer.Option("--mic", help="Capture the microphone.")]


@options.with_common_options
def stream(
    source: Input = None,
    mic: Mic = False,
    device: options.Device = None,
    spool: options.SpoolDir = None,
    **given: Any,
) -> int:
    """Stream the microphone, or sound from a pipe, and print what is said.

    Examples: rt stream --mic / ffmpeg -i URL -f wav - | rt stream -
    """
    if source not in (None, "-"):
        raise UsageError(f"rt stream takes --mic or -, not {source}", f"for a file: rt send {source}")
    if mic == (source is not None):
        problem = "both --mic and -" if mic else "nothing to stream"
        raise UsageError(problem, "give either --mic or - (stdin)")
    settings = settings_of({"device": device, **given})
    from rt_cli.commands.run import run
    from rt_cli.commands.sources import live_source, microphone_source

    if not mic:
        return run(settings, [live_source(settings.input, spool)])
    return run(settings, [microphone_source(settings.input, spool, retry_for_s=settings.delivery.retry_for_s)])
