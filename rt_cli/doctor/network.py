"""The way to an endpoint below WebSocket: name, TCP, TLS, and what time it is there."""

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
from rt_cli.doctor.finding import Finding
from rt_cli.errors import UnreachableError

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
    """Where the first connection goes: the endpoint's host, or the proxy's."""

    host: str
    port: int
    encrypted: bool
    """TLS begins at once."""

    @property
    def shown(self) -> str:
        """For people."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def place_of(url: str) -> HostPort:
    """The place that a URL names. Raises ValueError where it names none."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.hostname is None:
        raise ValueError("no host")
    return HostPort(parts.hostname, parts.port or _PORTS.get(parts.scheme, 80), parts.scheme in {"wss", "https"})


def proxy_for(url: str) -> str | None:
    """The proxy that the environment, or the system, wants for a URL; as the WebSocket library asks for it."""
    from urllib.request import getproxies, proxy_bypass

    place = place_of(url)
    if proxy_bypass(place.shown):
        return None
    proxies = getproxies()
    order = ("wss", "socks", "https") if place.encrypted else ("ws", "socks", "https", "http")
    return next((proxies[scheme] for scheme in order if scheme in proxies), None)


async def reach(place: HostPort, context: ssl.SSLContext, tell: ReportFinding, *, clock: bool) -> bool:
    """Look the name up, connect, speak TLS, and ask for the time; tells each with how long it took.

    Args:
        place: Where to.
        context: For TLS.
        tell: Told ``dns``, ``tcp``, ``tls`` and ``clock``.
        clock: Whether to ask for the time.

    Returns:
        Whether a connection is possible. Cancelling it leaves nothing open.
    """
    if not await _look_up(place, tell):
        return False
    streams = await _connect(place, tell)
    if streams is None:
        return False
    reader, writer = streams
    try:
        if place.encrypted and not await _encrypt(place, writer, context, tell):
            return False
        if clock:
            tell(clock_finding(await _date(place, reader, writer), time.time()))
    finally:
        writer.transport.abort()
    return True


async def _look_up(place: HostPort, tell: ReportFinding) -> bool:
    began = time.perf_counter()
    look_up = partial(socket.getaddrinfo, place.host, place.port, type=socket.SOCK_STREAM)
    try:
        found = await call_in_thread(look_up, deadline_s=STEP_S)
    except TimeoutError:
        detail = f"no answer for {place.host} within {STEP_S:g} s"
        tell(Finding("dns", "fail", detail, "check the network and its DNS server", _EXIT))
        return False
    except (OSError, UnicodeError) as error:
        said = getattr(error, "strerror", None) or str(error)
        tell(Finding("dns", "fail", f"no such host: {place.host} ({said})", "check the name and the network", _EXIT))
        return False
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    tell(Finding("dns", "ok", f"{place.host} is {', '.join(addresses[:4])} {_took(began)}"))
    return True


async def _connect(place: HostPort, tell: ReportFinding) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(STEP_S):
            # Of several addresses the first that answers will do; all of them are tried by turns.
            streams = await asyncio.open_connection(place.host, place.port, happy_eyeballs_delay=0.25)
    except TimeoutError:
        detail = f"no answer from {place.shown} within {STEP_S:g} s"
        tell(Finding("tcp", "fail", detail, "is it running? is there a firewall, or a proxy to be set?", _EXIT))
        return None
    except OSError as error:
        detail = f"{place.shown}: {error.strerror or error}"
        tell(Finding("tcp", "fail", detail, "is it running? is the port right?", _EXIT))
        return None
    tell(Finding("tcp", "ok", f"{place.shown} {_took(began)}"))
    return streams


async def _encrypt(place: HostPort, writer: asyncio.StreamWriter, context: ssl.SSLContext, tell: ReportFinding) -> bool:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(STEP_S):
            await writer.start_tls(context, server_hostname=place.host)
    except ssl.SSLCertVerificationError as error:
        detail = f"the certificate of {place.host} is not valid ({error.verify_message})"
        tell(Finding("tls", "fail", detail, "give its authority with --cacert; is this machine's clock right?", _EXIT))
    except TimeoutError:
        tell(Finding("tls", "fail", f"no handshake within {STEP_S:g} s", "is it ws:// rather than wss://?", _EXIT))
    except (OSError, EOFError) as error:
        said = getattr(error, "reason", None) or str(error) or "it hung up"
        tell(Finding("tls", "fail", f"no TLS with {place.shown} ({said})", "is it ws:// rather than wss://?", _EXIT))
    else:
        session = writer.get_extra_info("ssl_object")
        certificate = writer.get_extra_info("peercert") or {}
        tell(tls_finding(f"{session.version()} {_took(began)}", certificate.get("notAfter"), time.time()))
        return True
    return False


def tls_finding(detail: str, not_after: str | None, now: float) -> Finding:
    """Whether the certificate is good for a while.

    Args:
        detail: What to say first.
        not_after: When it expires, as ``ssl`` gives it; None where nobody looked at it.
        now: Unix time.
    """
    if not_after is None:
        return Finding("tls", "warn", f"{detail}, the certificate was not checked")
    days = (ssl.cert_time_to_seconds(not_after) - now) / 86_400
    told = f"{detail}, certificate valid for {days:.0f} days"
    if days < _SOON_DAYS:
        return Finding("tls", "warn", told, "whoever runs the endpoint has to renew it")
    return Finding("tls", "ok", told)


async def _date(place: HostPort, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str | None:
    """The Date header of whatever is answered to a bare HTTP request, without a key."""
    writer.write(f"HEAD / HTTP/1.1\r\nHost: {place.shown}\r\nConnection: close\r\n\r\n".encode())
    head = b""
    try:
        async with asyncio.timeout(STEP_S):
            while b"\r\n\r\n" not in head and len(head) < _LONGEST_HEAD and (data := await reader.read(4096)):
                head += data
    except (TimeoutError, OSError):
        pass  # the header is in what came, or there is none
    return date_in(head.decode("latin-1"))


def date_in(head: str) -> str | None:
    """The value of the Date header in the head of an HTTP response."""
    for line in head.split("\r\n\r\n", 1)[0].split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.strip().lower() == "date":
            return value.strip()
    return None


def clock_finding(date: str | None, now: float) -> Finding:
    """Whether this machine's clock is right, by the endpoint's.

    Args:
        date: The Date header; None for none.
        now: Unix time here.
    """
    from email.utils import parsedate_to_datetime

    try:
        theirs = parsedate_to_datetime(date or "").timestamp()
    except (ValueError, OverflowError):
        return Finding("clock", "skip", "the endpoint does not tell the time")
    skew = round(now - theirs)
    if abs(skew) <= _MOST_SKEW_S:
        return Finding("clock", "ok", "this machine and the endpoint agree")
    detail = f"this machine is {abs(skew)} s {'ahead of' if skew > 0 else 'behind'} the endpoint"
    return Finding("clock", "warn", detail, "set the clock: certificates and tokens are checked by it")


def _took(began: float) -> str:
    return f"in {(time.perf_counter() - began) * 1000:.0f} ms"
