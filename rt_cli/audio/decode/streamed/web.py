"""Sound behind an http or https URL, as a stream of bytes. libav opens no URL: this does, within limits."""

from __future__ import annotations

import io
import re
import threading
from shlex import quote
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from rt_cli.errors import AudioError

if TYPE_CHECKING:
    import httpx

MOST_BYTES = 64 << 30
_URL = re.compile(r"https?://", re.IGNORECASE)
_OTHER_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
"""At least two letters: a drive of Windows has one."""
_CONNECT_S = 10.0
STALL_S = 30.0
_MOST_REDIRECTS = 5
_NO_SOUND = re.compile(r"text/html|application/(?:[\w.+-]+\+)?(?:json|xml|xhtml)\b", re.IGNORECASE)
"""Media types of pages and of messages of a service."""
_LOGIN = {401, 403, 407}
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "rt"}
"""A compressed answer could become a thousand times as long."""


def is_url(name: str) -> bool:
    """Return whether a name is a URL that is fetched."""
    return _URL.match(name) is not None


def hint_for(name: str) -> str | None:
    """Return what to type in place of a URL that is not fetched; None for any other name."""
    found = _OTHER_URL.match(name)
    scheme = found[1].lower() if found else "http"
    if scheme in {"http", "https"}:
        return None
    if scheme in {"ws", "wss"}:
        return f"it is an endpoint, not sound: rt send --url {name} FILE"
    if scheme == "file":
        return f"give the path: rt send {quote(unquote(urlsplit(name).path))}"
    return "only http and https are fetched: fetch it first, or pipe it: ... | rt send -"


def shown_url(url: str) -> str:
    """Return a URL for messages and results: without user, password and query, which may hold keys."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "the URL"
    return f"{parts.scheme.lower()}://{host}{parts.path}"


def open_url(url: str) -> WebStream:
    """Ask for a URL and return its body. Blocks, for some 10 seconds at most for each redirect.

    Raises:
        AudioError: The URL is invalid, nobody answers, or the answer is no body to read.
    """
    import httpx

    name = shown_url(url)
    client = httpx.Client(timeout=httpx.Timeout(_CONNECT_S, read=STALL_S), follow_redirects=False)
    try:
        return WebStream(client, _ask(client, url, name), name)
    except BaseException as error:
        client.close()
        if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | ValueError):
            raise AudioError(f"{name}: is no URL that can be fetched", "check it") from error
        if isinstance(error, httpx.HTTPError):
            raise AudioError(f"{name}: cannot be fetched: {_reason(error)}", "check the URL and the network") from error
        raise


def _ask(client: httpx.Client, url: str, name: str) -> httpx.Response:
    request = client.build_request("GET", url, headers=_HEADERS)
    if not request.url.host:
        raise ValueError("no host")
    for _ in range(_MOST_REDIRECTS + 1):
        answer = client.send(request, stream=True)
        following = answer.next_request
        if following is None:
            _check(answer, name)
            return answer
        answer.close()
        if following.url.scheme not in {"http", "https"}:
            raise AudioError(f"{name}: redirects to what is neither http nor https", "check the URL")
        if following.url.scheme not in {"https", request.url.scheme}:
            raise AudioError(f"{name}: redirects to an address that is not encrypted", "fetch it yourself, with curl")
        request = following
    raise AudioError(f"{name}: redirects more than {_MOST_REDIRECTS} times", "check the URL")


def _check(answer: httpx.Response, name: str) -> None:
    problem, hint = "", "check the URL"
    no_sound = _NO_SOUND.match(answer.headers.get("content-type", "").strip())
    if answer.status_code != 200:  # noqa: PLR2004 - OK
        problem = f"HTTP {answer.status_code}"
        if answer.status_code in _LOGIN:
            hint = "fetch it yourself, with a login, and pipe it into rt send -"
        elif answer.status_code >= 500:  # noqa: PLR2004 - errors of the server
            hint = "try again later"
    elif answer.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        problem = "the answer is compressed, which was not asked for"
    elif no_sound:
        problem, hint = f"is {no_sound[0]}, not sound", "name the recording itself"
    if problem:
        answer.close()
        raise AudioError(f"{name}: {problem}", hint)


class WebStream(io.RawIOBase):
    """The body of an answer. One thread reads it.

    Args:
        client: Closed with the stream.
        answer: Opened as a stream.
        name: Name for errors.
    """

    def __init__(self, client: httpx.Client, answer: httpx.Response, name: str) -> None:
        super().__init__()
        self._client = client
        self._answer = answer
        self._name = name
        self._chunks = answer.iter_raw()
        self._size = 0
        self._ended = False
        self._reading = threading.Lock()

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, _size: int = -1, /) -> bytes:
        """Return the next bytes, as many as there are; empty at the end, and once the stream is ended. Blocks.

        Raises:
            OSError: The connection is cut or stalls, or the body is too long.
        """
        import httpx

        with self._reading:
            if self._ended:
                self._close()
                return b""
            try:
                chunk = next(self._chunks, b"")
            except (httpx.HTTPError, httpx.StreamError) as error:
                self._close()
                if self._ended:
                    return b""
                raise OSError(_reason(error)) from error
            self._size += len(chunk)
            if not chunk or self._size > MOST_BYTES:
                self._close()
            if self._size > MOST_BYTES:
                raise OSError(f"it is longer than {MOST_BYTES >> 30} GiB")
            return chunk

    def end(self) -> None:
        """End the stream: at once, or where its reader waits, within seconds. Never blocks; idempotent."""
        self._ended = True
        if self._reading.acquire(blocking=False):
            try:
                self._close()
            finally:
                self._reading.release()

    def _close(self) -> None:
        self._answer.close()
        self._client.close()


def _reason(error: Any) -> str:
    import httpx

    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.RemoteProtocolError):
        return "the connection was cut before the end"
    # Without the number or the library that stands before it in brackets.
    return re.sub(r"^\[[^\]]*\] ", "", str(error)) or type(error).__name__
