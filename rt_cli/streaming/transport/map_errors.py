"""What it means when a connection cannot be opened, or ends: the library's errors and the system's, as ours."""

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


def without(secrets: tuple[str, ...], text: str) -> str:
    """The text with stars in place of every secret."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def from_close(exc: ConnectionClosed, last_error: ErrorInfo | None, secrets: tuple[str, ...] = ()) -> RtError:
    """What a connection that has ended means."""
    # `rcvd` is what the peer said; what only we said is no verdict of theirs.
    code, reason = (exc.rcvd.code, without(secrets, exc.rcvd.reason)) if exc.rcvd else (_ABNORMAL, "")
    log.debug("closed with %d %s", code, shown(reason))
    if code in {_NO_STATUS, _ABNORMAL} and last_error is None:
        return ConnectionLost("the connection was cut", "check the network and the endpoint")
    return classify_close(code, reason, last_error)


def from_connect(exc: Exception, endpoint: Endpoint, timeout_s: float, secrets: tuple[str, ...] = ()) -> RtError:
    """What a failed opening means; every error that the library or the system raises there is named."""
    where = endpoint.shown
    match exc:
        case InvalidStatus():
            return _refusal(exc, secrets)
        case ProxyError() | ImportError():
            return _no_way(exc, where)
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
            said = getattr(exc, "reason", None) or exc.strerror  # what Python raises by itself has no reason
            return UnreachableError(f"no TLS with {where} ({said})", "is it ws:// rather than wss://?", code="tls")
        case TimeoutError():
            return UnreachableError(
                f"no answer from {where} within {timeout_s:g} s", "is it running? see --connect-timeout", code="timeout"
            )
        case ConnectionRefusedError():
            return _nothing_listens(endpoint)
        case OSError() | EOFError() | InvalidMessage(__cause__=EOFError()):
            return _network(exc, endpoint)
        case InvalidHandshake():
            return EndpointError(f"{where} does not speak WebSocket ({shown(str(exc))})", "check the URL")
        case _:
            return UsageError(f"cannot connect to {where} ({shown(str(exc))})", "check the URL and the headers")


def _no_way(exc: ProxyError | ImportError, where: str) -> RtError:
    """What the proxy has against it."""
    if isinstance(exc, ImportError):
        return UsageError("a SOCKS proxy needs python-socks", "pip install 'rt-cli[socks]'")
    if isinstance(exc, InvalidProxyStatus):
        status = exc.response.status_code
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
            return UnreachableError(f"the proxy is not available: HTTP {status}", "try again later", code="proxy")
        asks = status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
        hint = "check the proxy's user and password" if asks else "check the proxy settings"
        return RefusedError(f"the proxy refused: HTTP {status}", hint)
    reason = masked(shown(str(exc.__cause__ or exc)))
    return UnreachableError(f"the proxy gives no way to {where} ({reason})", "check the proxy settings", code="proxy")


def _nothing_listens(endpoint: Endpoint) -> RtError:
    from urllib.request import getproxies

    if endpoint.proxy is not None:
        return UnreachableError("nothing listens at the proxy", "is it running? see --proxy", code="connection_refused")
    proxied = not endpoint.loopback and {"https", "socks", "all"} & getproxies().keys()
    hint = "is the proxy running? see HTTPS_PROXY and ALL_PROXY" if proxied else "is the endpoint running?"
    return UnreachableError(f"nothing listens at {endpoint.shown}", hint, code="connection_refused")


def _network(exc: Exception, endpoint: Endpoint) -> RtError:
    import socket

    where = endpoint.shown
    if isinstance(exc, InvalidMessage) and where.startswith("wss:"):
        # Since TLS 1.3 a client learns after the handshake that its certificate is missing or unwanted.
        hint = "does it want a client certificate? see --client-cert"
        return UnreachableError(f"{where} hung up after the TLS handshake", hint, code="tls")
    if isinstance(exc, socket.gaierror):
        return UnreachableError(f"no such host: {where}", "check the name and the network", code="dns")
    # asyncio has no words for a peer that hangs up in the middle of a handshake.
    said = (exc.strerror or str(exc) if isinstance(exc, OSError) else "") or "it hung up"
    if said == "it hung up" and where.startswith("wss:"):
        return UnreachableError(f"no TLS with {where} ({said})", "is it ws:// rather than wss://?", code="tls")
    if "Multiple exceptions" in str(exc) and "refused" in str(exc).lower():
        return _nothing_listens(endpoint)
    return UnreachableError(f"cannot reach {where} ({said})", "check the network and the endpoint", code="network")


def _refusal(exc: InvalidStatus, secrets: tuple[str, ...]) -> RtError:
    response: Any = exc.response
    body = (response.body or b"")[:2000].decode("utf-8", "replace")
    if (elsewhere := response.headers.get("Location")) is not None:
        body = f"it redirects to {elsewhere}"
    body = without(secrets, body)
    return http_refusal(response.status_code, body, _retry_after(response.headers.get("Retry-After")))


def _retry_after(value: str | None) -> float | None:
    """Seconds from a Retry-After header, which is a number or a date (RFC 9110 section 10.2.3)."""
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
