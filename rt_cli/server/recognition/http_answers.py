"""What servers of ``/v1/audio/transcriptions`` answer, and what it means. Pure.

OpenAI's API reference for JSON and for ``transcript.text.*`` events; vLLM streams chunks with ``choices`` and ends with
``[DONE]``.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from rt_cli.errors import UsageError
from rt_cli.protocol.endpoint.url import is_loopback
from rt_cli.protocol.sanitize import masked, printable
from rt_cli.server.recognition.interface import RecognizerFailed

_PATH = "/audio/transcriptions"
_LONGEST_REASON = 200
_EXAMPLE = "write it like http:http://localhost:8000/v1"


def transcriptions_url(text: str, *, keyed: bool) -> str:
    """The URL to post to: a host alone or a path that ends in ``/v1`` is completed.

    Args:
        text: What was given.
        keyed: Whether a key would travel there.

    Raises:
        UsageError: It is no http or https URL, has credentials in it, or the key would travel unencrypted.
    """
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in {"http", "https"} or not text.isprintable() or " " in text or parts.fragment:
        raise UsageError(f"{printable(masked(text))!r} is no URL of a recogniser", _EXAMPLE)
    if "@" in parts.netloc:
        raise UsageError("the recogniser's URL has credentials in it", "put the key into RT_RECOGNIZER_API_KEY")
    if keyed and parts.scheme == "http" and not is_loopback(host):
        raise UsageError(f"no key goes to {host} over an unencrypted connection", "use https://")
    path = parts.path.rstrip("/")
    if path == "":
        path = "/v1"
    if path.endswith("/v1"):
        path += _PATH
    return urlunsplit(parts._replace(path=path))


def text_of(body: bytes) -> str:
    """The text in a JSON answer.

    Raises:
        RecognizerFailed: There is none.
    """
    match _json(body):
        case {"text": str(text)}:
            return _clean(text)
    raise RecognizerFailed(f"the answer has no text: {_short(body.decode(errors='replace'))!r}")


def reason_of(status: int, body: bytes) -> str:
    """What an answer with an error says, in one line that a terminal may be given."""
    match _json(body):
        case {"error": {"message": str(said)}} | {"message": str(said)} | {"error": str(said)} | {"detail": str(said)}:
            pass
        case _:
            said = ""
    advice = {
        401: "check RT_RECOGNIZER_API_KEY",
        403: "check RT_RECOGNIZER_API_KEY",
        404: "check the URL and the model",
    }
    return ": ".join(part for part in (f"HTTP {status}", _short(said), advice.get(status, "")) if part)


class StreamedText:
    """The text as it is streamed."""

    def __init__(self) -> None:
        self.text = ""
        """All of it so far."""
        self.complete = False

    def push(self, data: str) -> None:
        """Take the data of the next event.

        Raises:
            RecognizerFailed: The server gave up, or it is no JSON object.
        """
        if data.strip() == "[DONE]":
            self.complete = True
            return
        match _json(data.encode(errors="replace")):
            case {"type": "transcript.text.delta", "delta": str(delta)}:
                self.text += _clean(delta, strip=False)
            case {"type": "transcript.text.done", "text": str(text)}:
                self.text, self.complete = _clean(text), True
            case {"error": {"message": str(said)}} | {"error": str(said)} | {"type": "error", "message": str(said)}:
                raise RecognizerFailed(f"it gave up: {_short(said)}")
            case {"choices": [{"delta": {"content": str(delta)}}, *_]}:
                self.text += _clean(delta, strip=False)
            case dict():
                pass  # an event that tells no text, or one of tomorrow
            case _:
                raise RecognizerFailed(f"not understood: {_short(data)!r}")

    def finish(self) -> str:
        """The final text.

        Raises:
            RecognizerFailed: The stream ended in the middle.
        """
        if not self.complete:
            raise RecognizerFailed("the answer ended in the middle")
        return self.text.strip()


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _clean(text: str, *, strip: bool = True) -> str:
    return printable(text).strip() if strip else printable(text)


def _short(text: str) -> str:
    text = masked(printable(text[: 4 * _LONGEST_REASON])).strip()
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}..."
