"""The SSL context for ``wss`` endpoints: trusted authorities and the client certificate."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from rt_cli.errors import UsageError
from rt_cli.protocol.endpoint.endpoint import Trust

_KEYLOG_VARIABLE = "SSLKEYLOGFILE"


def tls_context(trust: Trust) -> ssl.SSLContext:
    """Return an SSL context for connections to an endpoint.

    It trusts the authorities of the system, or of ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` as OpenSSL reads them, and
    those of ``--cacert``.

    Raises:
        UsageError: A file cannot be read, holds no certificate, or its key does not fit or has a passphrase; a variable
            of OpenSSL names such a file.
    """
    try:
        context = ssl.create_default_context()
    except OSError as exc:
        # It only opens the file for the secrets of the connections.
        raise UsageError(
            f"cannot write the file of {_KEYLOG_VARIABLE}: {exc.strerror}", "name another file, or unset it"
        ) from exc
    _check_authorities(context)
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


def check_tls_variables() -> None:
    """Check what the variables of OpenSSL name, if any is set. Raises UsageError."""
    if any(os.environ.get(name) for name in (*_authority_variables(), _KEYLOG_VARIABLE)):
        tls_context(Trust())


def _authority_variables() -> tuple[str, str]:
    paths = ssl.get_default_verify_paths()
    return paths.openssl_cafile_env, paths.openssl_capath_env


def _check_authorities(context: ssl.SSLContext) -> None:
    """Check the files that OpenSSL reads by itself: it skips what it cannot read, and then trusts nobody."""
    file_variable, folder_variable = _authority_variables()
    if file := os.environ.get(file_variable):
        try:
            context.load_verify_locations(cafile=file)
        except (OSError, ssl.SSLError) as exc:
            reason = "it has no certificate" if isinstance(exc, ssl.SSLError) else exc.strerror
            raise UsageError(
                f"cannot read the certificates of {file_variable} ({file}): {reason}", "name a PEM file, or unset it"
            ) from exc
    # A list of folders; OpenSSL looks into each.
    folders = os.environ.get(folder_variable, "").split(os.pathsep)
    if any(folders) and not any(Path(folder).is_dir() for folder in folders if folder):
        raise UsageError(
            f"{folder_variable} ({os.pathsep.join(folders)}) is no folder", "name a folder of certificates, or unset it"
        )


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
