"""Parsing before the WebSocket library: complete requests, malformed requests, and arbitrary bytes."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.server.access.plain_http import MAX_BODY_BYTES, MAX_HEAD_BYTES, BadRequest, FirstBytes, PlainRequest

POST = b"POST /v1/x?a=b HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\nX-A: 1\r\nX-A: 2\r\n\r\nhello"


def feed_pieces(data: bytes, piece: int) -> bytes | PlainRequest | None:
    """The result of feeding the data in pieces."""
    first = FirstBytes()
    for start in range(0, len(data), piece):
        found = first.feed(data[start : start + piece])
        if found is not None:
            return found
    return None


@given(st.integers(1, len(POST)))
def test_request_in_any_pieces(piece: int) -> None:
    """The result does not depend on how the bytes are split, and comes only when the request is complete."""
    assert feed_pieces(POST[:-1], piece) is None
    headers = [("Host", "here"), ("Content-Length", "5"), ("X-A", "1"), ("X-A", "2")]
    assert feed_pieces(POST, piece) == PlainRequest("POST", "/v1/x?a=b", headers, b"hello")


@given(st.integers(1, 60))
def test_get_is_passed_on(piece: int) -> None:
    """All bytes of a GET are passed on, even if they came one by one."""
    data = b"GET /v1/realtime HTTP/1.1\r\n\r\n"
    first = FirstBytes()
    pieces = [data[start : start + piece] for start in range(0, len(data), piece)]
    taken = b""
    while pieces:
        taken += pieces[0]
        found = first.feed(pieces.pop(0))
        if found is not None:
            break
    assert found == taken
    assert taken + b"".join(pieces) == data


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01", HTTPStatus.BAD_REQUEST, id="TLS where none is spoken"),
        pytest.param(b"SSH-2.0-x\r\n", HTTPStatus.BAD_REQUEST, id="another protocol"),
        pytest.param(b"POST / HTTP/2.0\r\n\r\n", HTTPStatus.BAD_REQUEST, id="version"),
        pytest.param(b"POST /\xff HTTP/1.1\r\n\r\n", HTTPStatus.BAD_REQUEST, id="target"),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", HTTPStatus.BAD_REQUEST, id="length"),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", HTTPStatus.BAD_REQUEST, id="negative"),
        pytest.param(
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", HTTPStatus.LENGTH_REQUIRED, id="chunked"
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1),
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            id="body",
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nX: " + b"x" * MAX_HEAD_BYTES, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, id="head"
        ),
    ],
)
def test_bad_requests(data: bytes, status: HTTPStatus) -> None:
    """A malformed or too large request is rejected as early as possible."""
    with pytest.raises(BadRequest) as bad:
        FirstBytes().feed(data)
    assert bad.value.status == status


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda rest: b"POST / HTTP/1.1\r\n" + rest)))
def test_any_bytes(data: bytes) -> None:
    """Any bytes are accepted, incomplete, or raise BadRequest; no other exception."""
    first = FirstBytes()
    try:
        for byte in data:
            if first.feed(bytes([byte])) is not None:
                return
    except BadRequest as bad:
        assert bad.status >= HTTPStatus.BAD_REQUEST  # noqa: PT017 - BadRequest is one of two valid results
