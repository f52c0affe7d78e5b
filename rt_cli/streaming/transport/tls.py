"""The SSL context for ``wss`` endpoints: trusted authorities and the client certificate."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from rt_cli.protocol.endpoint.endpoint import Trust


def tls_context(trust: Trust) -> ssl.SSLContext:
    """Return an SSL context for connections to an endpoint.

    It trusts the authorities of the system, or of ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` as OpenSSL reads them, and
    those of ``--cacert``.

    Raises:
        UsageError: A file cannot be read, holds no certificate, or its key does not fit or has a passphrase.
    """
    context = ssl.create_default_context()
    if trust.cacert is not None:
        try:
            context.load_verify_locations(cafile=trust.cacert)
        except (OSError, ssl.SSLError) as exc:
            raise UsageError(f"cannot read certificates from {trust.cacert}", "give --cacert a PEM file") from exc
    if trust.client_cert is not None:
        _load_client_cert(context, trust.client_cert, trust.client_key)
    elif trust.client_key is not None:
        raise UsageError("--client-key is the key of a certificate", "give --client-cert with it")
    if trust.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _load_client_cert(context: ssl.SSLContext, cert: str, key: str | None) -> None:
    hint = "check --client-cert and --client-key: PEM, the key without a passphrase"
    try:
        # With an empty passphrase an encrypted key fails; without one OpenSSL would prompt on the terminal.
        context.load_cert_chain(cert, key, password="")
    except ssl.SSLError as exc:
        reason = (getattr(exc, "reason", None) or "no PEM, or a passphrase").lower().replace("_", " ")
        raise UsageError(f"cannot use the client certificate {cert}: {reason}", hint) from exc
    except OSError as exc:
        raise UsageError(f"cannot read the client certificate {cert} or its key: {exc.strerror}", hint) from exc
