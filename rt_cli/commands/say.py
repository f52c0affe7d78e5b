"""``rt say``: a text, spoken."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rt_cli.cli import options
from rt_cli.cli.process import run_loop
from rt_cli.cli.stdin_text import text_or_stdin
from rt_cli.config.layers import settings_of
from rt_cli.config.values import number_option
from rt_cli.errors import UsageError

Text = Annotated[str | None, typer.Argument(metavar="[TEXT]", help="What to say; - or nothing reads stdin.")]
Sound = Annotated[str | None, typer.Option("--out", "-o", metavar="FILE", help="A WAV file; - is stdout.")]
Difference = Annotated[
    str, typer.Option("--max-difference", metavar="SHARE", show_default=False, help="Words that may differ [0.1].")
]


@options.with_settings("say")
def say(text: Text = None, out: Sound = None, max_difference: Difference = "0.1", **values: Any) -> int:
    """Let an endpoint say a text, and compare its words.

    A model that converses may say something else: then the exit code is 8.

    Examples:
        rt say --local "The train leaves at noon." -o train.wav
        rt say -o - < speech.txt | aplay
    """
    if out is None:
        raise UsageError("nowhere to say it", "give -o FILE.wav, or -o - for stdout")
    settings = settings_of({"format": None, **values})
    if out == "-" and settings.output.format == "json":
        raise UsageError("both --json and -o - write to stdout", "write the sound to a file")
    share = number_option("--max-difference", max_difference, low=0, unit="")
    from rt_cli.talk.run_talk import TalkRun
    from rt_cli.talk.talk_options import spoken_text

    words = text_or_stdin(text, "say")
    return run_loop(TalkRun(*spoken_text(settings, words, output_audio=out, max_difference=share)).run)
