"""Proxies: small real ones, in threads. For any requested name, they connect to one port of this machine."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
from base64 import b64encode
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEADLINE_S = 10


@dataclass
class Way:
    """A running proxy."""

    target: int
    """The port that it connects to."""
    refuses: bool = False
    login: str | None = None
    """``user:password`` that an HTTP proxy requires."""
    busy: int = 0
    """Number of requests that are answered with 503 first."""
    port: int = 0
    asked: list[str] = field(default_factory=list)
    """``host:port`` of each request."""
    headers: list[str] = field(default_factory=list)
    """Lines of the requests to an HTTP proxy."""


@contextmanager
def connect_proxy(target: int, *, refuses: bool = False, login: str | None = None, busy: int = 0) -> Iterator[Way]:
    """An HTTP proxy with CONNECT (RFC 9110 section 9.3.6) and Basic authentication (RFC 7617)."""
    with _running(Way(target, refuses, login, busy), _connect) as way:
        yield way


@contextmanager
def socks_proxy(target: int, *, refuses: bool = False) -> Iterator[Way]:
    """A SOCKS5 proxy without authentication (RFC 1928)."""
    with _running(Way(target, refuses), _socks) as way:
        yield way


def _connect(client: socket.socket, way: Way) -> bool:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += _exactly(client, 1)
    first, *lines = head.decode().split("\r\n")
    way.asked.append(first.split()[1])
    way.headers += lines
    if len(way.asked) <= way.busy:
        answer = b"503 Later\r\nContent-Length: 0"
    elif way.login is not None and f"Basic {b64encode(way.login.encode()).decode()}" not in head.decode():
        answer = b'407 Who?\r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 0'
    else:
        answer = b"403 No\r\nContent-Length: 0" if way.refuses else b"200 OK"
    client.sendall(b"HTTP/1.1 " + answer + b"\r\n\r\n")
    return answer == b"200 OK"


def _socks(client: socket.socket, way: Way) -> bool:
    _version, methods = _exactly(client, 2)
    _exactly(client, methods)
    client.sendall(b"\x05\x00")
    kind = _exactly(client, 4)[3]
    host = _exactly(client, _exactly(client, 1)[0]).decode() if kind == 3 else socket.inet_ntoa(_exactly(client, 4))
    way.asked.append(f"{host}:{int.from_bytes(_exactly(client, 2))}")
    client.sendall(bytes((5, 2 if way.refuses else 0, 0, 1, 0, 0, 0, 0, 0, 0)))
    return not way.refuses


def _exactly(peer: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        piece = peer.recv(count - len(got))
        if not piece:
            raise ConnectionError("hung up")
        got += piece
    return got


@contextmanager
def _running(way: Way, greet: object) -> Iterator[Way]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(_DEADLINE_S)
            if greet(self.request, way):  # type: ignore[operator]
                with socket.create_connection(("127.0.0.1", way.target), _DEADLINE_S) as server:
                    _relay(self.request, server)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Ignore clients that disconnect: tests do that on purpose."""

    with Server(("127.0.0.1", 0), Handler) as server:
        way.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="proxy")
        thread.start()
        try:
            yield way
        finally:
            server.shutdown()
            thread.join(_DEADLINE_S)


def _relay(left: socket.socket, right: socket.socket) -> None:
    other = {left: right, right: left}
    while True:
        for peer in select.select([left, right], [], [], _DEADLINE_S)[0] or [left]:
            piece = peer.recv(65_536)
            if not piece:
                return
            other[peer].sendall(piece)
