"""``rt ask``: one question, one answer."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rt_cli.cli import options
from rt_cli.cli.process import run_loop
from rt_cli.cli.stdin_text import text_or_stdin
from rt_cli.config.layers import settings_of
from rt_cli.errors import UsageError

Text = Annotated[str | None, typer.Argument(metavar="[TEXT]", help="The question; - or nothing reads stdin.")]
File = Annotated[str | None, typer.Option("--file", metavar="FILE", help="The question, as sound.")]
Answer = Annotated[str | None, typer.Option("--out", "-o", metavar="FILE", help="The answer as WAV; - is stdout.")]


@options.with_settings("ask")
def ask(text: Text = None, file: File = None, out: Answer = None, **values: Any) -> int:
    """Ask an endpoint one question, and print its answer.

    Examples:
        rt ask "What is the capital of France?"
        rt ask --local --file question.wav -o answer.wav
        date | rt ask --instructions "Which day is it?"
    """
    if text is not None and file is not None:
        raise UsageError("both a text and --file", "ask one question")
    settings = settings_of({"format": None, **values})
    if out == "-" and settings.output.format == "json":
        raise UsageError("both --json and -o - write to stdout", "write the sound to a file")
    if out is not None and settings.talk.no_audio:
        raise UsageError("--no-audio leaves nothing for -o", "give one of them")
    from rt_cli.talk.run_talk import TalkRun
    from rt_cli.talk.talk_options import TalkOptions, written_question

    if file is not None:
        return run_loop(TalkRun(settings, TalkOptions(inputs=(file,), output_audio=out)).run)
    question = text_or_stdin(text, "ask")
    return run_loop(TalkRun(*written_question(settings, question, output_audio=out)).run)
