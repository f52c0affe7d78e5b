"""TLS of an endpoint with ``wss``: its certificate, and the handshake of one connection."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, cast

from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class TlsHandshake(asyncio.Protocol):
    """A TCP connection from its first byte to the end of the TLS handshake.

    The event loop can do that itself, but tells nobody of a connection before the handshake is complete: such
    connections could not be counted.

    Args:
        connection: Gets the encrypted transport, as if it had been connected just then.
        context: TLS context of the server.
        timeout_s: Deadline of the handshake. Later: cut.
        close_s: Deadline of the end of the encryption when the connection is closed.
        on_connect: Called with this object when the connection begins.
        on_end: Called with this object when the handshake has ended, well or not.
    """

    def __init__(
        self,
        connection: asyncio.Protocol,
        context: ssl.SSLContext,
        *,
        timeout_s: float,
        close_s: float,
        on_connect: Callable[[TlsHandshake], None],
        on_end: Callable[[TlsHandshake], None],
    ) -> None:
        self._connection = connection
        self._context = context
        self._timeout_s = timeout_s
        self._close_s = close_s
        self._on_connect = on_connect
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._transport = cast("asyncio.Transport", transport)
        self._on_connect(self)
        self._task = asyncio.get_running_loop().create_task(self._shake_hands(self._transport))

    def data_received(self, data: bytes) -> None:
        """Keep what comes in the same packet as the end of the handshake."""
        self._early.append(data)

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    async def _shake_hands(self, transport: asyncio.Transport) -> None:
        encrypted: asyncio.Transport | None = None
        try:
            encrypted = await asyncio.get_running_loop().start_tls(
                transport,
                self,
                self._context,
                server_side=True,
                ssl_handshake_timeout=self._timeout_s,
                ssl_shutdown_timeout=self._close_s,
            )
        except OSError:
            transport.abort()  # not our kind of client, gone, or too late
        finally:
            self._on_end(self)
        if encrypted is None or encrypted.is_closing():
            return
        encrypted.set_protocol(self._connection)
        self._connection.connection_made(encrypted)
        for data in self._early:
            self._connection.data_received(data)


def server_context(certfile: Path, keyfile: Path | None) -> ssl.SSLContext:
    """Create the TLS context of the server.

    Args:
        certfile: PEM file with the certificate and its chain, and with the key if ``keyfile`` is None.
        keyfile: PEM file with the unencrypted key.

    Raises:
        UsageError: A file is unreadable, not PEM or encrypted, or the key does not match the certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files = [path for path in (certfile, keyfile) if path is not None]
    for path in files:
        _check_readable(path)
    try:
        # With an empty passphrase an encrypted key fails; without it OpenSSL would prompt on the terminal.
        context.load_cert_chain(certfile, keyfile, password="")
    except (ssl.SSLError, ValueError) as exc:
        known = getattr(exc, "reason", None)
        reason = known.lower().replace("_", " ") if known else "they are no PEM, or the key is encrypted"
        raise UsageError(
            f"cannot use the certificate {' and '.join(str(path) for path in files)}: {reason}",
            "--certfile must be PEM, and --keyfile its key, not encrypted",
            code="bad_certificate",
        ) from exc
    return context


def _check_readable(path: Path) -> None:
    """Check a file first: the error of the ssl module does not name the file."""
    try:
        with path.open("rb"):
            return
    except OSError as exc:
        raise UsageError(
            f"cannot read {path}: {exc.strerror}", "check --certfile and --keyfile", code="bad_certificate"
        ) from exc
