"""The certificate of an endpoint that is reached over ``wss``."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def server_context(certfile: Path, keyfile: Path | None) -> ssl.SSLContext:
    """TLS with a certificate.

    Args:
        certfile: PEM: the certificate, its chain, and the key where there is no ``keyfile``.
        keyfile: PEM: the key, not encrypted.

    Raises:
        UsageError: A file that cannot be read, is no PEM, needs a passphrase, or does not match the other.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files = [path for path in (certfile, keyfile) if path is not None]
    for path in files:
        _check_readable(path)
    try:
        # An empty passphrase, so that an encrypted key fails instead of asking on the terminal.
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
    """The library does not say which of the files it is about."""
    try:
        with path.open("rb"):
            return
    except OSError as exc:
        raise UsageError(
            f"cannot read {path}: {exc.strerror}", "check --certfile and --keyfile", code="bad_certificate"
        ) from exc
