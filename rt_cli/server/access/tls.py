"""TLS certificate of an endpoint with ``wss``."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


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
