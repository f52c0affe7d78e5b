"""``rt talk``: a conversation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rt_cli.cli import options
from rt_cli.cli.help import TESTS
from rt_cli.cli.process import run_loop
from rt_cli.config.layers import settings_of
from rt_cli.config.values import number_option
from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from rt_cli.talk.mcp.server_file import McpServer

Stdin = Annotated[str | None, typer.Argument(metavar="[-]", help="- reads raw PCM or WAV from stdin.")]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", metavar="FILE", help="What you say: a turn each.", rich_help_panel="Conversation"),
]
Mic = Annotated[bool, typer.Option("--mic", help="Capture the microphone.", rich_help_panel="Conversation")]
OutputAudio = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="The replies as heard, as WAV; - is stdout.", rich_help_panel="Conversation"),
]
RecordBoth = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Both sides, as stereo WAV.", rich_help_panel="Conversation"),
]
InterruptAt = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Say the next turn so long after a reply begins.", rich_help_panel=TESTS),
]
Expect = Annotated[
    list[str] | None,
    typer.Option("--expect", metavar="TEXT", help="Some reply says this; else exit code 8.", rich_help_panel=TESTS),
]
ExpectNot = Annotated[
    list[str] | None,
    typer.Option("--expect-not", metavar="TEXT", help="No reply says this.", rich_help_panel=TESTS),
]
ExpectTool = Annotated[
    list[str] | None, typer.Option("--expect-tool", metavar="NAME", help="This tool is run.", rich_help_panel=TESTS)
]
MaxLatency = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="From your last sound to the first of each reply.", rich_help_panel=TESTS),
]
Junit = Annotated[
    Path | None, typer.Option(metavar="FILE", help="What was expected, as JUnit XML.", rich_help_panel=TESTS)
]
ToolTexts = Annotated[
    list[str] | None,
    typer.Option(
        "--tool", metavar="NAME=CMD", help="May be run, as 'w=./w.sh {city}'.", rich_help_panel="Conversation"
    ),
]
ToolFiles = Annotated[
    list[Path] | None,
    typer.Option("--tools", metavar="FILE", help="The same with schemas, as JSON.", rich_help_panel="Conversation"),
]
McpFiles = Annotated[
    list[Path] | None,
    typer.Option("--mcp", metavar="FILE", help="MCP servers with tools, as JSON.", rich_help_panel="Conversation"),
]


@options.with_settings("talk")
def talk(
    source: Stdin = None,
    inputs: Inputs = None,
    mic: Mic = False,
    output_audio: OutputAudio = None,
    record_both: RecordBoth = None,
    tool_texts: ToolTexts = None,
    tool_files: ToolFiles = None,
    mcp_files: McpFiles = None,
    interrupt_at: InterruptAt = None,
    expect: Expect = None,
    expect_not: ExpectNot = None,
    expect_tool: ExpectTool = None,
    max_latency: MaxLatency = None,
    junit: Junit = None,
    **values: Any,
) -> int:
    """Talk with an endpoint, and print what it replies.

    Without a source you type; no sound device plays the replies.

    Examples:
        rt talk --local --input question.wav --output-audio answer.wav
        echo "How are you?" | rt talk --local --no-audio
    """
    if source not in (None, "-"):
        raise UsageError(f"rt talk takes -, not {source}", f"for a file: rt talk --input {source}")
    if sum((source is not None, bool(inputs), mic)) > 1:
        raise UsageError("more than one source", "give one of -, --input and --mic")
    if "-" in (inputs or ()):
        raise UsageError("--input - is no file", "rt talk - reads stdin")
    settings = settings_of(values)
    if output_audio == "-" and settings.output.format == "json":
        raise UsageError("both --json and --output-audio - write to stdout", "write the sound to a file")
    if output_audio is not None and settings.talk.no_audio:
        raise UsageError("--no-audio leaves nothing for --output-audio", "give one of them")
    if interrupt_at is not None and len(inputs or ()) < 2:  # noqa: PLR2004 - the second one interrupts
        raise UsageError("--interrupt-at without a turn that interrupts", "give two or more --input")
    from rt_cli.talk.expectations.expectations import Expectations
    from rt_cli.talk.run_talk import TalkRun
    from rt_cli.talk.talk_options import TalkOptions
    from rt_cli.talk.tools.declare import declare

    tools = declare(tool_texts or (), tool_files or ())
    mcp_servers = _mcp_servers(mcp_files)
    for name in expect_tool or ():
        # Which tools servers have is known when they run.
        if not mcp_servers and name not in {tool.name for tool in tools}:
            raise UsageError(f"--expect-tool {name}: there is no such tool", "name it with --tool, --tools or --mcp")
    max_latency_ms = None if max_latency is None else round(1000 * number_option("--max-latency", max_latency, low=0))
    talk_options = TalkOptions(
        inputs=("-",) if source else tuple(inputs or ()),
        mic=mic,
        output_audio=output_audio,
        record_both=record_both,
        interrupt_at_s=None if interrupt_at is None else number_option("--interrupt-at", interrupt_at, low=0),
        tools=tools,
        mcp_servers=mcp_servers,
        expectations=Expectations(
            tuple(expect or ()), tuple(expect_not or ()), tuple(expect_tool or ()), max_latency_ms
        ),
        junit=junit,
    )
    return run_loop(TalkRun(settings, talk_options).run)


def _mcp_servers(files: list[Path] | None) -> tuple[McpServer, ...]:
    """Return the servers of ``--mcp``. Without the option nothing of MCP is loaded."""
    if not files:
        return ()
    from importlib.util import find_spec

    if find_spec("mcp") is None:
        raise UsageError("--mcp needs the package mcp, which is not installed", "pip install 'rt-cli[mcp]'")
    import os

    from rt_cli.talk.mcp.server_file import read_servers

    return read_servers(files, os.environ)
