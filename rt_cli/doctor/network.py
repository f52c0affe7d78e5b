"""Check the network below WebSocket: DNS, TCP, TLS, and the clock of the endpoint."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rt_cli.audio.microphone.call_in_thread import call_in_thread
from rt_cli.doctor.finding import Finding, error_finding
from rt_cli.errors import UnreachableError
from rt_cli.protocol.endpoint.url import is_loopback
from rt_cli.streaming.transport.map_errors import invalid_certificate, no_such_host, no_tls

if TYPE_CHECKING:
    from rt_cli.doctor.finding import ReportFinding

STEP_S = 5.0
"""Deadline of each step."""
_PORTS = {"ws": 80, "wss": 443, "http": 80, "https": 443, "socks4": 1080, "socks5": 1080, "socks5h": 1080}
_LONGEST_HEAD = 16_384
_SOON_DAYS = 14
_MOST_SKEW_S = 60
_EXIT = UnreachableError.exit_code


@dataclass(frozen=True, slots=True)
class HostPort:
    """Target of the first connection: the endpoint, or its proxy."""

    host: str
    port: int
    encrypted: bool
    """Whether the connection starts with TLS."""

    @property
    def label(self) -> str:
        """``HOST:PORT``, with brackets around an IPv6 address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def host_port_of(url: str) -> HostPort:
    """Return host and port of a URL. Raises ValueError if it has no host."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.hostname is None:
        raise ValueError("no host")
    return HostPort(parts.hostname, parts.port or _PORTS.get(parts.scheme, 80), parts.scheme in {"wss", "https"})


def proxy_for(url: str) -> str | None:
    """Return the proxy of the environment or the system for a URL, with the same rules as the websockets library."""
    from urllib.request import getproxies, proxy_bypass

    host_port = host_port_of(url)
    if proxy_bypass(host_port.label):
        return None
    proxies = getproxies()
    order = ("wss", "socks", "https") if host_port.encrypted else ("ws", "socks", "https", "http")
    return next((proxies[scheme] for scheme in order if scheme in proxies), None)


async def check_connection(host_port: HostPort, context: ssl.SSLContext, report: ReportFinding, *, clock: bool) -> bool:
    """Check DNS, TCP, TLS and the clock, in this order; report each with its duration.

    Args:
        host_port: Target of the connection.
        context: SSL context for TLS.
        report: Called with the findings ``dns``, ``tcp``, ``tls`` and ``clock``.
        clock: Whether to check the clock.

    Returns:
        Whether a connection is possible. Cancelling closes the connection.
    """
    if not await _look_up(host_port, report):
        return False
    streams = await _connect(host_port, report)
    if streams is None:
        return False
    reader, writer = streams
    try:
        if host_port.encrypted and not await _encrypt(host_port, writer, context, report):
            return False
        if clock:
            report(clock_finding(await _date(host_port, reader, writer), time.time()))
    finally:
        writer.transport.abort()
    return True


async def _look_up(host_port: HostPort, report: ReportFinding) -> bool:
    began = time.perf_counter()
    look_up = partial(socket.getaddrinfo, host_port.host, host_port.port, type=socket.SOCK_STREAM)
    try:
        results = await call_in_thread(look_up, deadline_s=STEP_S)
    except TimeoutError:
        detail = f"no answer for {host_port.host} within {STEP_S:g} s"
        report(Finding("dns", "fail", detail, "check the network and its DNS server", _EXIT))
        return False
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        report(error_finding("dns", no_such_host(f"{host_port.host} ({reason})")))
        return False
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in results))
    report(Finding("dns", "ok", f"{host_port.host} is {', '.join(addresses[:4])} {_elapsed(began)}"))
    return True


async def _connect(
    host_port: HostPort, report: ReportFinding
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(STEP_S):
            # Try all addresses of the host in turn (happy eyeballs), and take the first that answers.
            streams = await asyncio.open_connection(host_port.host, host_port.port, happy_eyeballs_delay=0.25)
    except TimeoutError:
        detail = f"no answer from {host_port.label} within {STEP_S:g} s"
        report(Finding("tcp", "fail", detail, "is it running? is there a firewall, or a proxy to be set?", _EXIT))
        return None
    except ConnectionRefusedError:
        hint = f"start it: rt serve --port {host_port.port}; or give another --url"
        local = is_loopback(host_port.host)
        detail = f"{host_port.label} refuses the connection"
        report(Finding("tcp", "fail", detail, hint if local else "is it running? is the port right?", _EXIT))
        return None
    except OSError as error:
        detail = f"{host_port.label}: {error.strerror or error}"
        report(Finding("tcp", "fail", detail, "is it running? is the port right?", _EXIT))
        return None
    report(Finding("tcp", "ok", f"{host_port.label} {_elapsed(began)}"))
    return streams


async def _encrypt(
    host_port: HostPort, writer: asyncio.StreamWriter, context: ssl.SSLContext, report: ReportFinding
) -> bool:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(STEP_S):
            await writer.start_tls(context, server_hostname=host_port.host)
    except ssl.SSLCertVerificationError as error:
        report(error_finding("tls", invalid_certificate(host_port.host, error.verify_message)))
    except TimeoutError:
        report(error_finding("tls", no_tls(host_port.label, f"no handshake within {STEP_S:g} s")))
    except (OSError, EOFError) as error:
        reason = getattr(error, "reason", None) or str(error) or "it hung up"
        report(error_finding("tls", no_tls(host_port.label, reason)))
    else:
        session = writer.get_extra_info("ssl_object")
        certificate = writer.get_extra_info("peercert") or {}
        report(tls_finding(f"{session.version()} {_elapsed(began)}", certificate.get("notAfter"), time.time()))
        return True
    return False


def tls_finding(detail: str, not_after: str | None, now: float) -> Finding:
    """Return the finding about TLS: warn if the certificate expires soon.

    Args:
        detail: First part of the finding's text.
        not_after: Expiry date in the format of ``ssl``; None for an unchecked certificate.
        now: Unix time.
    """
    if not_after is None:
        return Finding("tls", "warn", f"{detail}, the certificate was not checked")
    try:
        days = (ssl.cert_time_to_seconds(not_after) - now) / 86_400
    except (ValueError, OverflowError):
        return Finding("tls", "ok", f"{detail}, certificate valid until {not_after}")
    text = f"{detail}, certificate valid for {days:.0f} days"
    if days < _SOON_DAYS:
        return Finding("tls", "warn", text, "whoever runs the endpoint has to renew it")
    return Finding("tls", "ok", text)


async def _date(host_port: HostPort, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str | None:
    """Send a plain HTTP request without a key, and return the Date header of the response."""
    writer.write(f"HEAD / HTTP/1.1\r\nHost: {host_port.label}\r\nConnection: close\r\n\r\n".encode())
    head = b""
    try:
        async with asyncio.timeout(STEP_S):
            while b"\r\n\r\n" not in head and len(head) < _LONGEST_HEAD and (data := await reader.read(4096)):
                head += data
    except (TimeoutError, OSError):
        pass  # use what arrived so far
    return date_in(head.decode("latin-1"))


def date_in(head: str) -> str | None:
    """Return the value of the Date header in an HTTP response head; None without one."""
    for line in head.split("\r\n\r\n", 1)[0].split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.strip().lower() == "date":
            return value.strip()
    return None


def clock_finding(date: str | None, now: float) -> Finding:
    """Compare this machine's clock with the endpoint's.

    Args:
        date: The Date header; None without one.
        now: Unix time of this machine.
    """
    from email.utils import parsedate_to_datetime

    try:
        endpoint_time = parsedate_to_datetime(date or "").timestamp()
    except (ValueError, OverflowError):
        return Finding("clock", "skip", "the endpoint does not tell the time")
    skew = round(now - endpoint_time)
    if abs(skew) <= _MOST_SKEW_S:
        return Finding("clock", "ok", "this machine and the endpoint agree")
    detail = f"this machine is {abs(skew)} s {'ahead of' if skew > 0 else 'behind'} the endpoint"
    return Finding("clock", "warn", detail, "set the clock: certificates and tokens are checked by it")


def _elapsed(began: float) -> str:
    return f"in {(time.perf_counter() - began) * 1000:.0f} ms"
