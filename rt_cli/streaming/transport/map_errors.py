"""Maps errors of ``websockets`` and of the system to the errors of :mod:`rt_cli.errors`."""

from __future__ import annotations

import logging
import re
import ssl
import time
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from websockets.datastructures import Headers
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
from websockets.frames import CloseCode
from websockets.http11 import Response

from rt_cli.errors import ConnectionLost, EndpointError, RefusedError, RtError, UnreachableError, UsageError
from rt_cli.masking import without_secrets
from rt_cli.protocol.error_policy import classify_close, http_refusal, quoted
from rt_cli.protocol.message_log import shown

if TYPE_CHECKING:
    from rt_cli.protocol.endpoint.endpoint import Endpoint
    from rt_cli.protocol.server_events import ErrorInfo

log = logging.getLogger("rt.wire")

_NO_STATUS = 1005
_ABNORMAL = 1006
_OWN_CODES = {CloseCode.PROTOCOL_ERROR, CloseCode.INVALID_DATA, CloseCode.MESSAGE_TOO_BIG}
"""Codes with which the library closes a connection because of what it received."""
_NO_ROUTE = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}
_LONGEST_BODY = 2000
LONGEST_WAIT_S = 86_400.0
"""Longest Retry-After; a longer one is as hopeless."""
_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)? ([1-5]\d\d)(?: .*)?", re.DOTALL)
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def from_close(exc: ConnectionClosed, last_error: ErrorInfo | None, limit_bytes: int | None = None) -> RtError:
    """Return the error for a connection that has ended.

    Args:
        exc: The error of the library.
        last_error: The last ``error`` event of the peer.
        limit_bytes: Largest message that is accepted.
    """
    if exc.rcvd is None and exc.sent is not None and exc.sent.code in _OWN_CODES:
        return _from_own_close(exc.sent.code, shown(exc.sent.reason), limit_bytes)
    # `rcvd` is the close frame of the peer. A close frame of this side alone says nothing about the peer.
    code, reason = (exc.rcvd.code, exc.rcvd.reason) if exc.rcvd else (_ABNORMAL, "")
    log.debug("closed with %d %s", code, shown(without_secrets(reason)))
    if code in {_NO_STATUS, _ABNORMAL} and last_error is None:
        return ConnectionLost("the connection was cut", "check the network and the endpoint")
    return classify_close(code, reason, last_error)


def _from_own_close(code: int, reason: str, limit_bytes: int | None) -> RtError:
    """Return the error for a connection that the library has closed, because of what the peer sent."""
    detail = f" ({reason})" if reason else ""
    if code == CloseCode.MESSAGE_TOO_BIG:
        limit = f" of {limit_bytes >> 20} MiB" if limit_bytes else ""
        # Another connection would get the same message again.
        return EndpointError(
            f"the endpoint sent a message above the limit{limit}{detail}",
            "rt takes no larger ones: is it a realtime transcription endpoint?",
            code="message_too_big",
        )
    return ConnectionLost(
        f"the endpoint sent what is no WebSocket message{detail}", "look for a proxy between here and there"
    )


def from_connect(exc: Exception, endpoint: Endpoint, timeout_s: float, answer: bytes = b"") -> RtError:
    """Return the error for a failed opening; covers every error of the library and the system there.

    Args:
        exc: The error of the library or the system.
        endpoint: The endpoint.
        timeout_s: Limit of the opening.
        answer: Start of the HTTP answer, if one came.
    """
    if (response := _response_of(exc, answer)) is not None:
        return _from_http_status(response, endpoint)
    where = endpoint.shown
    match exc:
        case ProxyError() | ImportError():
            return _from_proxy_error(exc, where)
        case InvalidURI() | InvalidProxy():
            return UsageError(f"not a usable URL: {quoted(str(exc))}", "see --url and the proxy variables")
        case ssl.SSLCertVerificationError():
            return invalid_certificate(where, exc.verify_message)
        case ssl.SSLError():
            reason = getattr(exc, "reason", None) or exc.strerror  # errors from Python itself have no reason
            return no_tls(where, reason)
        case TimeoutError():
            return UnreachableError(
                f"no answer from {where} within {timeout_s:g} s", "is it running? see --connect-timeout", code="timeout"
            )
        case ConnectionRefusedError():
            return _connection_refused(endpoint)
        case OSError() | EOFError() | InvalidMessage(__cause__=EOFError()):
            return _from_os_error(exc, endpoint)
        case InvalidHandshake():
            return EndpointError(f"{where} does not speak WebSocket ({quoted(str(exc))})", "check the URL")
        case _:
            return UsageError(f"cannot connect to {where} ({quoted(str(exc))})", "check the URL and the headers")


def no_such_host(where: str) -> UnreachableError:
    """Return the error for a name that DNS does not know."""
    return UnreachableError(f"no such host: {where}", "check the name and the network", code="dns")


def no_tls(where: str, reason: str | None) -> UnreachableError:
    """Return the error for a peer that speaks no TLS."""
    return UnreachableError(f"no TLS with {where} ({reason})", "is it ws:// rather than wss://?", code="tls")


def invalid_certificate(where: str, reason: str) -> UnreachableError:
    """Return the error for a certificate that is not trusted: another attempt gets the same one."""
    return UnreachableError(
        f"the certificate of {where} is not valid ({reason})",
        "give its authority with --cacert or SSL_CERT_FILE; is this machine's clock right?",
        final=True,
        code="tls_certificate",
    )


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
    reason = quoted(str(exc.__cause__ or exc))
    return UnreachableError(f"the proxy gives no way to {where} ({reason})", "check the proxy settings", code="proxy")


def _connection_refused(endpoint: Endpoint) -> RtError:
    from urllib.request import getproxies

    if endpoint.proxy is not None:
        return UnreachableError("nothing listens at the proxy", "is it running? see --proxy", code="connection_refused")
    proxied = not endpoint.loopback and {"https", "socks", "all"} & getproxies().keys()
    start = "start it (rt serve), or give another --url" if endpoint.loopback else "is the endpoint running?"
    hint = "is the proxy running? see HTTPS_PROXY and ALL_PROXY" if proxied else start
    return UnreachableError(f"nothing listens at {endpoint.host}", hint, code="connection_refused")


def _from_os_error(exc: Exception, endpoint: Endpoint) -> RtError:
    import socket

    where = endpoint.shown
    if isinstance(exc, InvalidMessage) and where.startswith("wss:"):
        # With TLS 1.3 the server rejects a missing or wrong client certificate only after the handshake.
        hint = "does it want a client certificate? see --client-cert"
        return UnreachableError(f"{where} hung up after the TLS handshake", hint, code="tls")
    if isinstance(exc, socket.gaierror):
        return no_such_host(where)
    # asyncio raises an empty error if the peer closes the connection during the handshake.
    detail = (exc.strerror or str(exc) if isinstance(exc, OSError) else "") or "it hung up"
    if detail == "it hung up" and where.startswith("wss:"):
        return no_tls(where, detail)
    if "Multiple exceptions" in str(exc) and "refused" in str(exc).lower():
        return _connection_refused(endpoint)
    return UnreachableError(f"cannot reach {where} ({detail})", "check the network and the endpoint", code="network")


def _response_of(exc: Exception, answer: bytes) -> Response | None:
    """Return the HTTP answer that refuses the handshake; None if the opening failed otherwise."""
    if isinstance(exc, InvalidStatus):
        return exc.response
    # The library wants all of the body, and not much of it; the status says enough.
    return read_answer(answer) if isinstance(exc, InvalidMessage | TimeoutError) else None


def _from_http_status(response: Response, endpoint: Endpoint) -> RtError:
    body = bytes(response.body or b"")[:_LONGEST_BODY].decode("utf-8", "replace")
    headers = response.headers
    if locations := headers.get_all("Location"):
        body = f"it redirects to {locations[0]}"
    waits_s = [wait_s for value in headers.get_all("Retry-After") if (wait_s := retry_after(value)) is not None]
    wait_s = max(waits_s, default=None)
    refusal = http_refusal(response.status_code, body, wait_s, wants_model=_lacks_model(endpoint))
    if response.status_code in _NO_ROUTE and urlsplit(endpoint.url).path.endswith("/translations"):
        message = f"no translations at {endpoint.host}: HTTP {response.status_code}"
        return EndpointError(message, "leave out --translate, or use an endpoint that translates", code=refusal.code)
    return refusal


def _lacks_model(endpoint: Endpoint) -> bool:
    """Whether the URL has no ``model``, which some compatible servers demand. Providers refuse it there."""
    parts = urlsplit(endpoint.url)
    named = any(name == "model" for name, _ in parse_qsl(parts.query, keep_blank_values=True))
    return not named and not endpoint.embedded and not endpoint.dialect.owns(parts.hostname or "")


def read_answer(answer: bytes) -> Response | None:
    """Read the start of an HTTP answer, leniently: the library gives up on a large, cut or strange one.

    Returns:
        Status, headers and the start of the body; None if this is no refusal in HTTP.
    """
    head, _, body = answer.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    found = _STATUS_LINE.fullmatch(line)
    if found is None or int(found[1]) == HTTPStatus.SWITCHING_PROTOCOLS:
        return None
    headers = Headers()
    for field in fields:
        name, _, value = field.decode("latin-1").partition(":")
        with suppress(InvalidHandshake):  # no valid header: the others may be
            headers[name.strip()] = value.strip()
    return Response(int(found[1]), "", headers, body)


def retry_after(value: str) -> float | None:
    """Return the seconds of a Retry-After header: a number or a date (RFC 9110 section 10.2.3); None if invalid."""
    value = value.strip()
    if _SECONDS.fullmatch(value):
        return min(float(value), LONGEST_WAIT_S)
    from datetime import UTC
    from email.utils import parsedate_to_datetime

    try:
        date = parsedate_to_datetime(value)
        wait_s = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - time.time()
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError):
        return None  # whatever a stranger writes there
    return min(max(0.0, wait_s), LONGEST_WAIT_S)
