"""Parser of HTTP requests with other methods than GET, which the WebSocket library does not parse. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from email.parser import BytesHeaderParser
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_HEAD_BYTES = 16 * 1024
MAX_BODY_BYTES = 64 * 1024
_GET = b"GET "
_REQUEST_LINE = re.compile(rb"([A-Z]{1,20}) ([!-~]{1,8192}) HTTP/1\.[01]")


class BadRequest(Exception):
    """The request is malformed, too large or not supported.

    Args:
        status: Status of the answer.
        message: Message for the client.
    """

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class PlainRequest:
    """A complete request."""

    method: str
    target: str
    """Path and query, unchanged."""
    headers: Sequence[tuple[str, str]]
    body: bytes = b""


class FirstBytes:
    """Collects the first bytes of a connection until the request is complete or known to be GET."""

    def __init__(self) -> None:
        self._received = b""
        self._needed = 0
        """Length of the complete request in bytes; 0 until the head is complete."""

    def feed(self, data: bytes) -> bytes | PlainRequest | None:
        """Add received bytes.

        Returns:
            For GET: all bytes so far, for the WebSocket library. For another method: the complete request. None: more
            bytes are needed.

        Raises:
            BadRequest: Malformed, or larger than ``MAX_HEAD_BYTES`` and ``MAX_BODY_BYTES``.
        """
        self._received += data
        received = self._received
        if len(received) < self._needed:
            return None
        if received.startswith(_GET):
            return received
        if _GET.startswith(received):
            return None
        head, end, body = received.partition(b"\r\n\r\n")
        if len(head) > MAX_HEAD_BYTES:
            raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request's headers are too large.")
        line, _, fields = head.partition(b"\r\n")
        if not end and b"\r\n" not in received:
            _check_beginning(received)
            return None
        match = _REQUEST_LINE.fullmatch(line)
        if match is None:
            raise BadRequest(HTTPStatus.BAD_REQUEST, "This is no HTTP/1.1 request.")
        if not end:
            return None
        request = PlainRequest(match[1].decode(), match[2].decode(), _headers(fields))
        length = _content_length(request.headers)
        self._needed = len(head) + len(end) + length
        return replace(request, body=body[:length]) if len(body) >= length else None


def _check_beginning(line: bytes) -> None:
    """Reject data that does not start with a method, for example TLS, without waiting for a complete line."""
    if re.match(rb"[A-Z]{1,20}( |$)", line) is None:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "This is no HTTP/1.1 request.")


def _headers(fields: bytes) -> list[tuple[str, str]]:
    parsed = BytesHeaderParser().parsebytes(fields)
    return [(str(name), str(value).strip()) for name, value in parsed.items()]


def _content_length(headers: Sequence[tuple[str, str]]) -> int:
    by_name = {name.lower(): value for name, value in headers}
    if "transfer-encoding" in by_name:
        raise BadRequest(HTTPStatus.LENGTH_REQUIRED, "Send the body with a Content-Length.")
    length = by_name.get("content-length", "0")
    if not re.fullmatch(r"[0-9]{1,18}", length):
        raise BadRequest(HTTPStatus.BAD_REQUEST, "Content-Length must be a number.")
    if int(length) > MAX_BODY_BYTES:
        raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is larger than {MAX_BODY_BYTES} bytes.")
    return int(length)
