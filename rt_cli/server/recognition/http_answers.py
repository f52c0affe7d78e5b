"""Parsing of answers from ``/v1/audio/transcriptions``. Pure.

Sources: OpenAI's API reference for JSON and for ``transcript.text.*`` events. vLLM streams chunks with ``choices`` and
ends with ``[DONE]``.
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
MAX_TEXT = 100_000
"""Most characters of the text of one upload; ten times what can be said in the longest one."""
_LONGEST_REASON = 200
_EXAMPLE = "write it like http:http://localhost:8000/v1"


def transcriptions_url(text: str, *, with_key: bool) -> str:
    """Build the URL for uploads; completes a URL without path or with a path that ends in ``/v1``.

    Args:
        text: URL from the user.
        with_key: A key is sent to this URL.

    Raises:
        UsageError: Not an http or https URL, credentials in the URL, or the key would be sent unencrypted.
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
    if with_key and parts.scheme == "http" and not is_loopback(host):
        raise UsageError(f"no key goes to {host} over an unencrypted connection", "use https://")
    path = parts.path.rstrip("/")
    if path == "":
        path = "/v1"
    if path.endswith("/v1"):
        path += _PATH
    return urlunsplit(parts._replace(path=path))


def text_of(body: bytes) -> str:
    """Read the text from a JSON answer.

    Raises:
        RecognizerFailed: The answer has no text.
    """
    match _json(body):
        case {"text": str(text)}:
            return _checked(_clean(text))
    raise RecognizerFailed(f"the answer has no text: {_short(body.decode(errors='replace'))!r}")


def reason_of(status: int, body: bytes) -> str:
    """The error message of an answer, as one line that is safe to print on a terminal."""
    match _json(body):
        case (
            {"error": {"message": str(message)}}
            | {"message": str(message)}
            | {"error": str(message)}
            | {"detail": str(message)}
        ):
            pass
        case _:
            message = ""
    advice = {
        401: "check RT_RECOGNIZER_API_KEY",
        403: "check RT_RECOGNIZER_API_KEY",
        404: "check the URL and the model",
    }
    return ": ".join(part for part in (f"HTTP {status}", _short(message), advice.get(status, "")) if part)


class StreamedText:
    """Collects the text of a streamed answer."""

    def __init__(self) -> None:
        self.text = ""
        """The text so far."""
        self.complete = False

    def push(self, data: str) -> None:
        """Process the data of the next event.

        Raises:
            RecognizerFailed: The event is an error, or not a JSON object.
        """
        if data.strip() == "[DONE]":
            self.complete = True
            return
        match _json(data.encode(errors="replace")):
            case {"type": "transcript.text.delta", "delta": str(delta)}:
                self.text = _checked(self.text + _clean(delta, strip=False))
            case {"type": "transcript.text.done", "text": str(text)}:
                self.text, self.complete = _checked(_clean(text)), True
            case (
                {"error": {"message": str(message)}}
                | {"error": str(message)}
                | {"type": "error", "message": str(message)}
            ):
                raise RecognizerFailed(f"it gave up: {_short(message)}")
            case {"choices": [{"delta": {"content": str(delta)}}, *_]}:
                self.text = _checked(self.text + _clean(delta, strip=False))
            case dict():
                pass  # an event without text, or an event type that is unknown here
            case _:
                raise RecognizerFailed(f"not understood: {_short(data)!r}")

    def finish(self) -> str:
        """Return the final text.

        Raises:
            RecognizerFailed: The stream is incomplete.
        """
        if not self.complete:
            raise RecognizerFailed("the answer ended in the middle")
        return self.text.strip()


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _checked(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise RecognizerFailed(f"the text is longer than {MAX_TEXT} characters")
    return text


def _clean(text: str, *, strip: bool = True) -> str:
    return printable(text).strip() if strip else printable(text)


def _short(text: str) -> str:
    text = masked(printable(text[: 4 * _LONGEST_REASON])).strip()
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}..."
