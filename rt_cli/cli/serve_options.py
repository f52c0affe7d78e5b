"""The options and the help of ``serve``, and where its token comes from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rt_cli.cli.completion import one_of
from rt_cli.server.recognition.registry import FORMS
from rt_cli.server.replies.registry import REPLIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TOKEN_VARIABLE = "RT_SERVE_TOKEN"  # noqa: S105 - the name of the variable, no token


def _value(kind: Any, name: str, metavar: str, text: str, **more: Any) -> Any:
    """Return an option with a value. Its help text contains the default."""
    return Annotated[kind, typer.Option(name, metavar=metavar, help=text, show_default=False, **more)]


def _listed(names: Iterable[str], conjunction: str = "or") -> str:
    *others, last = names
    return f"{', '.join(others)} {conjunction} {last}"


Host = _value(str, "--host", "ADDRESS", "Listen there; off loopback: a token [127.0.0.1].")
Port = _value(int, "--port", "N", "0 is any free port [8765].", min=0, max=65535)
TokenFile = _value(Path | None, "--token-file", "FILE", f"Clients present this as key [{TOKEN_VARIABLE}].")
CertFile = _value(Path | None, "--certfile", "PEM", "Serve wss:// with this certificate and chain.")
KeyFile = _value(Path | None, "--keyfile", "PEM", "Its key, where it is not in the same file.")
Engine = _value(
    str,
    "--recognizer",
    "SPEC",
    " ".join(form[: form.find(":") + 1] or form for form in FORMS),
    autocompletion=one_of(*(form[: form.find(":") + 1] or form for form in FORMS)),
)
EngineModel = _value(str | None, "--recognizer-model", "ID", "Model to ask an http: recognizer for.")
Workers = _value(int | None, "--workers", "N", "Recognitions at once.", min=1, max=64)
Reply = _value(
    Literal.__getitem__(tuple(REPLIES)),
    "--reply",
    "HOW",
    f"{' '.join(REPLIES)} [echo].",
)
ReplyText = _value(str | None, "--reply-text", "TEXT", "What to say instead of the turn, with {transcript}.")
Llm = _value(str | None, "--llm", "URL", "OpenAI-compatible chat server that says it instead.")
LlmModel = _value(str | None, "--llm-model", "NAME", "Model to ask it for.")
ReplySpeed = _value(str, "--reply-speed", "X", "Pace of the sound of replies; 1 is real time [max].")
MaxSessions = _value(int, "--max-sessions", "N", "Sessions at once, then 1013 [8].", min=1, max=10_000)
MaxSession = _value(str, "--max-session", "TIME", "Longest; then session_expired and 1001 [60m].")
Faults = _value(list[str] | None, "--fault", "SPEC", "Break on request; repeatable; help shows all.")
SaveAudio = _value(Path | None, "--save-audio", "DIR", "What each session sends, as DIR/SESSION.wav.")
Json = Annotated[bool, typer.Option("--json", help="NDJSON, as above.")]

HELP = """Run the embedded endpoint: OpenAI's protocol, no key.

The first line on stdout is its URL. With --json every line has a "type":

\b
  listening             url, recognizer
  session_opened        session
  turn                  session, item, start_ms, end_ms
  transcript            session, item, text
  transcription_failed  session, item, reason
  response              session, response, status, reason, audio_ms
  session_closed        session, received_samples, received_ms, rate_hz, turns
  refused               status (of HTTP, or the close code), code
  fault                 fault, connection, session or null, event if touched
  warning               message

Examples:
  rt serve --json --recognizer none --fault drop@3s --fault status=503x2
"""

FAULTS = """--fault takes FAULT[=VALUE][@WHEN][/HOW-LONG][xTIMES][#CONNECTION][%EVERY][~CHANCE]:
  status=503x2          the first two handshakes are refused; 429/3s says Retry-After
  handshake=2s          the answer to the handshake comes late
  drop@3s               the connection is cut, drop=fin without a reset
  drop@reply2           ... as the second reply begins; @reply2:400ms: after so much of its sound
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
  dup=response.*~0.1    ... or those of a group: here one in ten, of all about replies
  failed%3              every third transcription fails
  late=2s               replies begin late
  cut=400ms             replies fail after this much sound, or at their end
  reject=session.update client events of a type get an error
  seed=7                another run of luck for ranges and chances
"""


def serving_token(token_file: Path | None, environ: Mapping[str, str]) -> str | None:
    """Return the token that clients must present: from the file, else from the environment. None for no token.

    Raises:
        UsageError: The file cannot be read, or its content cannot be a key. The message never contains the token.
    """
    if token_file is not None:
        from rt_cli.config.secret_file import read_secret_file

        return read_secret_file(token_file, "token", "--token-file")
    from rt_cli.protocol.endpoint.key_source import clean_key

    from_environment = environ.get(TOKEN_VARIABLE, "")
    return clean_key(from_environment, TOKEN_VARIABLE) if from_environment.strip() else None
