"""``rt serve``: the embedded endpoint by hand."""

from __future__ import annotations

import json as jsonlib
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rt_cli.protocol.text import printable

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

_LAST_LINES_S = 0.3

Host = Annotated[str, typer.Option(help="Loopback address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 is any free one.")]
Engine = Annotated[
    Literal["pocketsphinx", "none"],
    typer.Option("--recognizer", help="pocketsphinx: English, demo quality; none: turns without words."),
]
SaveAudio = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Write what each session sends, sample for sample, to DIR/SESSION.wav."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object per line: the URL, sessions, turns, words.")]


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8765,
    recognizer: Engine = "pocketsphinx",
    save_audio: SaveAudio = None,
    json: Json = False,
) -> None:
    """Run the embedded endpoint until Ctrl-C: OpenAI's realtime transcription, on this machine, without a key.

    The first line on stdout is its URL.
    """
    import asyncio

    asyncio.run(_serve(host, port, recognizer, save_audio, as_json=json))


async def _serve(
    host: str, port: int, recognizer: Literal["pocketsphinx", "none"], save_audio: Path | None, *, as_json: bool
) -> None:
    import asyncio

    from rt_cli.local.server import serve as serve_locally
    from rt_cli.output.writer import LineWriter

    ended = asyncio.Event()
    end = _from_anywhere(ended)
    before = {
        number: signal.signal(number, lambda _number, _frame: end()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    lines = LineWriter(sys.stdout, on_broken=end)

    def observe(event: dict[str, Any]) -> None:
        if as_json:
            lines.write(jsonlib.dumps(event))
        elif event["type"] == "warning":
            _warn(event["message"])

    try:
        async with serve_locally(
            host=host, port=port, recognizer=recognizer, save_audio=save_audio, observe=observe
        ) as server:
            lines.write(jsonlib.dumps({"type": "listening", "url": server.url}) if as_json else server.url)
            _warn(server.notice)
            await ended.wait()
    finally:
        lines.close(_LAST_LINES_S)
        for number, handler in before.items():
            signal.signal(number, handler)


def _from_anywhere(event: asyncio.Event) -> Callable[[], None]:
    """Sets the event from a signal handler or another thread; asyncio's own signal handling is not on every system."""
    import asyncio

    loop = asyncio.get_running_loop()

    def set_event() -> None:
        loop.call_soon_threadsafe(event.set)

    return set_event


def _warn(text: str) -> None:
    if sys.stderr is None:  # closed before the start; print would take stdout in its place
        return
    print(f"warning: {printable(text)}", file=sys.stderr)  # noqa: T201 - stderr is for people
