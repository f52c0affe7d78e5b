"""Maps errors of ``websockets`` and of the system to the errors of :mod:`rt_cli.errors`."""

from __future__ import annotations

import logging
import ssl
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidProxy,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidURI,
    ProxyError,
)

from rt_cli.errors import ConnectionLost, EndpointError, RefusedError, RtError, UnreachableError, UsageError
from rt_cli.protocol.codec import shown
from rt_cli.protocol.error_policy import classify_close, http_refusal
from rt_cli.protocol.sanitize import masked

if TYPE_CHECKING:
    from rt_cli.protocol.endpoint.endpoint import Endpoint
    from rt_cli.protocol.server_events import ErrorInfo

log = logging.getLogger("rt.wire")

_NO_STATUS = 1005
_ABNORMAL = 1006


def mask_secrets(secrets: tuple[str, ...], text: str) -> str:
    """Return the text with every secret replaced by stars."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def from_close(exc: ConnectionClosed, last_error: ErrorInfo | None, secrets: tuple[str, ...] = ()) -> RtError:
    """Return the error for a connection that has ended."""
    # `rcvd` is the close frame of the peer. A close frame of this side alone says nothing about the peer.
    code, reason = (exc.rcvd.code, mask_secrets(secrets, exc.rcvd.reason)) if exc.rcvd else (_ABNORMAL, "")
    log.debug("closed with %d %s", code, shown(reason))
    if code in {_NO_STATUS, _ABNORMAL} and last_error is None:
        return ConnectionLost("the connection was cut", "check the network and the endpoint")
    return classify_close(code, reason, last_error)


def from_connect(exc: Exception, endpoint: Endpoint, timeout_s: float, secrets: tuple[str, ...] = ()) -> RtError:
    """Return the error for a failed opening; covers every error of the library and the system there."""
    where = endpoint.shown
    match exc:
        case InvalidStatus():
            return _from_http_status(exc, secrets)
        case ProxyError() | ImportError():
            return _from_proxy_error(exc, where)
        case InvalidURI() | InvalidProxy():
            return UsageError(f"not a usable URL: {masked(shown(str(exc)))}", "see --url and the proxy variables")
        case ssl.SSLCertVerificationError():
            return UnreachableError(
                f"the certificate of {where} is not valid ({exc.verify_message})",
                "give its authority with --cacert or SSL_CERT_FILE",
                final=True,
                code="tls_certificate",
            )
        case ssl.SSLError():
            reason = getattr(exc, "reason", None) or exc.strerror  # errors from Python itself have no reason
            return UnreachableError(f"no TLS with {where} ({reason})", "is it ws:// rather than wss://?", code="tls")
        case TimeoutError():
            return UnreachableError(
                f"no answer from {where} within {timeout_s:g} s", "is it running? see --connect-timeout", code="timeout"
            )
        case ConnectionRefusedError():
            return _connection_refused(endpoint)
        case OSError() | EOFError() | InvalidMessage(__cause__=EOFError()):
            return _from_os_error(exc, endpoint)
        case InvalidHandshake():
            return EndpointError(f"{where} does not speak WebSocket ({shown(str(exc))})", "check the URL")
        case _:
            return UsageError(f"cannot connect to {where} ({shown(str(exc))})", "check the URL and the headers")


def _from_proxy_error(exc: ProxyError | ImportError, where: str) -> RtError:
    """Return the error for a proxy that fails or refuses."""
    if isinstance(exc, ImportError):
        return UsageError("a SOCKS proxy needs python-socks", "pip install 'rt-cli[socks]'")
    if isinstance(exc, InvalidProxyStatus):
        status = exc.response.status_code
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
            return UnreachableError(f"the proxy is not available: HTTP {status}", "try again later", code="proxy")
        needs_auth = status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
        hint = "check the proxy's user and password" if needs_auth else "check the proxy settings"
        return RefusedError(f"the proxy refused: HTTP {status}", hint)
    reason = masked(shown(str(exc.__cause__ or exc)))
    return UnreachableError(f"the proxy gives no way to {where} ({reason})", "check the proxy settings", code="proxy")


def _connection_refused(endpoint: Endpoint) -> RtError:
    from urllib.request import getproxies

    if endpoint.proxy is not None:
        return UnreachableError("nothing listens at the proxy", "is it running? see --proxy", code="connection_refused")
    proxied = not endpoint.loopback and {"https", "socks", "all"} & getproxies().keys()
    hint = "is the proxy running? see HTTPS_PROXY and ALL_PROXY" if proxied else "is the endpoint running?"
    return UnreachableError(f"nothing listens at {endpoint.shown}", hint, code="connection_refused")


def _from_os_error(exc: Exception, endpoint: Endpoint) -> RtError:
    import socket

    where = endpoint.shown
    if isinstance(exc, InvalidMessage) and where.startswith("wss:"):
        # With TLS 1.3 the server rejects a missing or wrong client certificate only after the handshake.
        hint = "does it want a client certificate? see --client-cert"
        return UnreachableError(f"{where} hung up after the TLS handshake", hint, code="tls")
    if isinstance(exc, socket.gaierror):
        return UnreachableError(f"no such host: {where}", "check the name and the network", code="dns")
    # asyncio raises an empty error if the peer closes the connection during the handshake.
    detail = (exc.strerror or str(exc) if isinstance(exc, OSError) else "") or "it hung up"
    if detail == "it hung up" and where.startswith("wss:"):
        return UnreachableError(f"no TLS with {where} ({detail})", "is it ws:// rather than wss://?", code="tls")
    if "Multiple exceptions" in str(exc) and "refused" in str(exc).lower():
        return _connection_refused(endpoint)
    return UnreachableError(f"cannot reach {where} ({detail})", "check the network and the endpoint", code="network")


def _from_http_status(exc: InvalidStatus, secrets: tuple[str, ...]) -> RtError:
    response: Any = exc.response
    body = (response.body or b"")[:2000].decode("utf-8", "replace")
    if (location := response.headers.get("Location")) is not None:
        body = f"it redirects to {location}"
    body = mask_secrets(secrets, body)
    return http_refusal(response.status_code, body, _retry_after(response.headers.get("Retry-After")))


def _retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header: a number or a date (RFC 9110 section 10.2.3); None if invalid."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
