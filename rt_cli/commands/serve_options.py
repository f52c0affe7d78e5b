"""The options of ``serve``, each named and explained once, its help, and the token's way in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rt_cli.errors import UsageError
from rt_cli.protocol.keys import clean_key
from rt_cli.protocol.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN_VARIABLE = "RT_SERVE_TOKEN"  # noqa: S105 - the name of the variable, no token
_LARGEST_TOKEN = 4_096
"""Bytes; more would not fit into a request."""

Host = Annotated[str, typer.Option(help="Address to listen on; all but loopback needs a token.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 is any free one.")]
TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help=f"Clients must present this as key [{TOKEN_VARIABLE}]."),
]
CertFile = Annotated[
    Path | None, typer.Option("--certfile", metavar="PEM", help="Serve wss:// with this certificate (and chain).")
]
KeyFile = Annotated[
    Path | None, typer.Option("--keyfile", metavar="PEM", help="Its key, where it is not in the same file.")
]
Engine = Annotated[
    str,
    typer.Option(
        "--recognizer",
        metavar="SPEC",
        help="pocketsphinx: English, demo quality; none: turns without words; http:URL, sherpa:DIR, whisper:MODEL.",
    ),
]
EngineModel = Annotated[
    str | None, typer.Option("--recognizer-model", metavar="NAME", help="Model to ask an http: recognizer for.")
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, max=64, help="Recognitions at once [what fits the machine].")
]
Reply = Annotated[
    Literal["none", "text", "echo", "voice"],
    typer.Option("--reply", help="Answer turns: not, in text, with their own sound, or with a synthetic voice."),
]
ReplyText = Annotated[
    str | None, typer.Option("--reply-text", metavar="TEXT", help="What text and voice say; {transcript} is the turn.")
]
Llm = Annotated[
    str | None, typer.Option("--llm", metavar="URL", help="OpenAI-compatible chat server that says it instead.")
]
LlmModel = Annotated[str | None, typer.Option("--llm-model", metavar="NAME", help="Model to ask it for.")]
MaxSessions = Annotated[int, typer.Option("--max-sessions", min=1, max=10_000, help="Sessions at once; else 1013.")]
MaxSession = Annotated[
    str, typer.Option("--max-session", metavar="TIME", help="Longest session; then session_expired and 1001.")
]
Faults = Annotated[
    list[str] | None, typer.Option("--fault", metavar="SPEC", help="Break on request, see above; repeatable.")
]
SaveAudio = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Write what each session sends, sample for sample, to DIR/SESSION.wav."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object per line, see above.")]

HELP = """Run the embedded endpoint until Ctrl-C: OpenAI's realtime protocol, on this machine, without a key.

The first line on stdout is its URL. With --json every line is an object with "type":

\b
  listening             url
  session_opened        session
  turn                  session, item, start_ms, end_ms
  transcript            session, item, text
  transcription_failed  session, item, reason
  session_closed        session, received_samples, received_ms, rate_hz, turns
  refused               status (of HTTP, or the close code), code
  fault                 fault, connection, session or null, event where one was touched
  warning               message

\b
--fault is FAULT[=VALUE][@WHEN][/HOW-LONG][xTIMES][#CONNECTION][%EVERY][~CHANCE]:
  status=503x2          the first two handshakes are refused; 429/3s says Retry-After
  handshake=2s          the answer to the handshake comes late
  drop@3s               the connection is cut, drop=fin without a reset
  close=1001@10s        a close frame
  expire=20s            the session ends then, and expires_at says so
  quota                 error insufficient_quota, then close 1008
  error=CODE@5s         an error event; the session goes on
  garbage=json@3s       something that is no event
  stall@5s/4s           nothing is read and nothing written for 4 s
  mute@turn2            pings are not answered from the second turn on
  slow=32kB             no more than this is read in a second
  delay=100ms..500ms    events leave late
  omit=session.updated  events of a type are left out
  dup=completed         ... come twice
  reorder=completed     ... neighbours are swapped
  corrupt=committed     ... are no JSON
  failed%3              every third transcription fails
  reject=session.update client events of a type get an error
  seed=7                another run of luck for ranges and chances
"""


def serving_token(token_file: Path | None, environ: Mapping[str, str]) -> str | None:
    """What clients must present, from the file, else from the environment; None where nothing is asked of them.

    Raises:
        UsageError: The file cannot be read, or what is there cannot be a key; the token is never shown.
    """
    if token_file is not None:
        return clean_key(_read(token_file), f"the token file {printable(str(token_file))}")
    from_environment = environ.get(TOKEN_VARIABLE, "")
    return clean_key(from_environment, TOKEN_VARIABLE) if from_environment.strip() else None


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_TOKEN).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"the token file {printable(str(path))} is not text", "it must hold the token only") from None
    except (OSError, ValueError) as exc:
        problem = getattr(exc, "strerror", None) or "it is no path"
        raise UsageError(
            f"cannot read the token file {printable(str(path))}: {problem}", "check --token-file"
        ) from None
