"""``rt replay``: print a ``--record`` file, or replay the endpoint's side of it to a client."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rt_cli.cli.process import printing_until_ended, run_loop, warn
from rt_cli.config.values import number_option
from rt_cli.errors import EXIT_INCOMPLETE, EXIT_INTERRUPTED, EXIT_OK, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rt_cli.protocol.recording_format import Entry
    from rt_cli.run.interrupts import Interrupts
    from rt_cli.server.replay.script import Script

_LONGEST_LINE = 1 << 26
"""Bytes. ``--record`` writes no longer line."""
_PORT = 8765
_PATIENCE_S = 60


File = Annotated[Path, typer.Argument(metavar="FILE", help="Written by rt stream or rt send with --record.")]
Serve = Annotated[bool, typer.Option("--serve", help="Be the endpoint that was recorded.")]
Whole = Annotated[bool, typer.Option("--all", help="Print every append and ping, and more of each event.")]


Host = Annotated[str | None, typer.Option("--host", metavar="ADDRESS", help="Listen there [127.0.0.1].")]
Port = Annotated[int | None, typer.Option("--port", metavar="N", help="0 is any free port [8765].", min=0, max=65535)]
Speed = Annotated[str | None, typer.Option("--speed", metavar="X", help="Times the recorded pace, or max [1].")]
Patience = Annotated[
    str | None, typer.Option("--patience", metavar="TIME", help="Silence of a client that is waited out [60].")
]


def replay(
    file: File,
    whole: Whole = False,
    serve: Serve = False,
    host: Host = None,
    port: Port = None,
    speed: Speed = None,
    patience: Patience = None,
) -> int:
    """Print a recorded session, or play the endpoint's side of it.

    With --serve the first line on stdout is the URL. When all is played it exits with 0, or with 7 if clients did
    anything else than the recorded one, which is said on stderr.

    Examples:
        rt replay session.ndjson
        rt replay --serve --speed max session.ndjson
    """
    serve_options = {"--host": host, "--port": port, "--speed": speed, "--patience": patience}
    serve_only = [name for name, value in serve_options.items() if value is not None]
    if serve_only and not serve:
        raise UsageError(f"{serve_only[0]} without --serve", "add --serve, or leave it out")
    if not serve:
        return _print_timeline(file, whole=whole)
    if whole:
        raise UsageError("--all is for printing", "leave out --all or --serve")
    from rt_cli.server.replay.script import scripts_of

    pace = number_option("--speed", speed or "1", low=0.01, unit="", unlimited=True)
    patience_s = number_option("--patience", patience or str(_PATIENCE_S), low=0.1)
    scripts, missing = scripts_of(_entries(file))
    if not scripts:
        raise UsageError(f"{file} holds no connection", "record a run that reaches its endpoint", code="recording")
    if missing:
        warn(f"{missing} lines are missing in {file}: it may not play to its end")
    address = host or "127.0.0.1", _PORT if port is None else port
    return run_loop(partial(_serve, scripts, address, pace, patience_s))


async def _serve(
    scripts: list[Script], address: tuple[str, int], speed: float, patience_s: float, interrupts: Interrupts
) -> int:
    import asyncio

    from rt_cli.protocol.endpoint.url import is_loopback
    from rt_cli.server.replay.server import replaying

    def on_event(number: int, message: str) -> None:
        warn(f"connection {number}: {message}")

    host, port = address
    replay_server = replaying(scripts, on_event=on_event, host=host, port=port, speed=speed, patience_s=patience_s)
    with printing_until_ended(interrupts, without_reader=True) as (lines, interrupted):
        async with replay_server as server:
            lines.write(server.url)
            if not is_loopback(host):
                warn("whoever reaches this port can read what was recorded")
            ends = [asyncio.create_task(event.wait()) for event in (server.over, interrupted)]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
    if not server.over.is_set():
        return EXIT_INTERRUPTED
    return EXIT_INCOMPLETE if server.differences else EXIT_OK


def _print_timeline(file: Path, *, whole: bool) -> int:
    from rt_cli.output.line_writer import write_texts
    from rt_cli.output.results.wire_timeline import timeline

    lines = (f"{line}\n" for line in timeline(_entries(file), whole=whole))
    write_texts(sys.stdout, lines, "the timeline")
    return EXIT_OK


def _entries(path: Path) -> Iterator[Entry]:
    from rt_cli.protocol.recording_format import entries

    try:
        with path.open("rb") as file:
            yield from entries(iter(lambda: file.readline(_LONGEST_LINE), b""), str(path))
    except OSError as exc:
        raise UsageError(f"cannot read {path}: {exc.strerror}", "give a file that --record wrote") from exc
