"""Network checks against real servers on this machine."""

from __future__ import annotations

import ssl
import time
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.doctor import network as module
from rt_cli.doctor.network import (
    HostPort,
    check_connection,
    clock_finding,
    date_in,
    host_port_of,
    proxy_for,
    tls_finding,
)
from tests.fakes import run
from tests.servers import CERTIFICATE, answering, blurting, nobody, polite, scripted, silent

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from rt_cli.doctor.finding import Finding
    from tests.servers import Server


def checked(port: int, *, encrypted: bool = False, cacert: str | None = None, clock: bool = False) -> list[Finding]:
    """Check a connection to a port of this machine, and return the findings. The last one is not ok if it failed."""
    findings: list[Finding] = []
    context = ssl.create_default_context(cafile=cacert)
    reached = run(check_connection(HostPort("127.0.0.1", port, encrypted), context, findings.append, clock=clock))
    assert reached == (findings[-1].status != "fail")
    return findings


def test_tls() -> None:
    """Each step is reported with its duration, the certificate with its remaining validity."""
    with scripted(polite("never said"), secure=True) as server:
        found = checked(server.port, encrypted=True, cacert=str(CERTIFICATE))
    assert [(each.check, each.status) for each in found] == [("dns", "ok"), ("tcp", "ok"), ("tls", "ok")]
    assert "ms" in found[2].detail
    assert "valid for" in found[2].detail


def test_untrusted_certificate() -> None:
    """An untrusted certificate is reported, with the option that helps."""
    with scripted(polite("never said"), secure=True) as server:
        found = checked(server.port, encrypted=True)
    assert (found[-1].check, found[-1].exit) == ("tls", 5)
    assert "--cacert" in (found[-1].fix or "")


@pytest.mark.parametrize(
    ("peer", "encrypted", "check"),
    [
        pytest.param(nobody, False, "tcp", id="nobody listens"),
        pytest.param(silent, True, "tls", id="no TLS, for ever"),
        pytest.param(lambda: blurting(b"220 mail.example.org ESMTP\r\n"), True, "tls", id="no TLS"),
    ],
)
def test_not_reached(
    monkeypatch: pytest.MonkeyPatch,
    peer: Callable[[], AbstractContextManager[Server]],
    encrypted: bool,  # noqa: FBT001  # a column of the table
    check: str,
) -> None:
    """The failing step is reported with a fix, and no further step runs."""
    if peer is silent:
        monkeypatch.setattr(module, "STEP_S", 0.2)
    with peer() as server:
        found = checked(server.port, encrypted=encrypted)
    assert (found[-1].check, found[-1].exit) == (check, 5)
    assert found[-1].fix


def test_no_such_host() -> None:
    """An invalid host name is reported as such."""
    findings: list[Finding] = []
    host_port = HostPort("a" * 64 + ".invalid", 443, encrypted=True)  # no label of DNS is so long
    assert not run(check_connection(host_port, ssl.create_default_context(), findings.append, clock=False))
    assert [(each.check, each.status, each.exit) for each in findings] == [("dns", "fail", 5)]


@pytest.mark.parametrize(("skew_s", "status"), [(0, "ok"), (3600, "warn")])
def test_clock(skew_s: float, status: str) -> None:
    """The time of the server is compared with the local time."""
    head = f"HTTP/1.1 404 Not Found\r\nDate: {formatdate(time.time() + skew_s, usegmt=True)}\r\n\r\n"
    with blurting(head.encode()) as server:
        found = checked(server.port, clock=True)
    assert (found[-1].check, found[-1].status) == ("clock", status)


def test_clock_of_a_web_server() -> None:
    """A server without HEAD, such as a WebSocket server, is no failure."""
    with answering(404) as server:
        found = checked(server.port, clock=True)
    assert (found[-1].check, found[-1].status in {"ok", "skip"}) == ("clock", True)


@given(st.none() | st.text())
def test_any_date(date: str | None) -> None:
    """An invalid date counts as a missing date."""
    assert clock_finding(date, time.time()).check == "clock"


@given(st.text())
def test_any_head(head: str) -> None:
    """Any response head yields a date or None."""
    date = date_in(head)
    assert date is None or date in head


@pytest.mark.parametrize("not_after", ["Jan  1 00:00:00 99999 GMT", "x"])
def test_odd_expiry(not_after: str) -> None:
    """A date beyond the calendar is shown as it is."""
    finding = tls_finding("TLSv1.3", not_after, 0.0)
    assert (finding.status, not_after in finding.detail) == ("ok", True)


@pytest.mark.parametrize(("days", "status"), [(400, "ok"), (3, "warn"), (-1, "warn")])
def test_certificate_expires(days: int, status: str) -> None:
    """A certificate that expires soon is a warning."""
    now = 1_800_000_000
    not_after = time.strftime("%b %d %H:%M:%S %Y GMT", time.gmtime(now + days * 86_400))
    assert tls_finding("TLSv1.3", not_after, now).status == status


@pytest.mark.parametrize(
    ("url", "host_port"),
    [
        ("wss://api.openai.com/v1/realtime", HostPort("api.openai.com", 443, encrypted=True)),
        ("ws://[::1]:8765/v1", HostPort("::1", 8765, encrypted=False)),
        ("http://user:secret@proxy:3128", HostPort("proxy", 3128, encrypted=False)),
        ("socks5h://proxy", HostPort("proxy", 1080, encrypted=False)),
        ("proxy:3128", HostPort("proxy", 3128, encrypted=False)),
    ],
)
def test_host_port_of(url: str, host_port: HostPort) -> None:
    """Host and port of a URL; the default port of the scheme."""
    assert host_port_of(url) == host_port


@pytest.mark.parametrize(
    ("environ", "url", "proxy"),
    [
        pytest.param({}, "wss://h/", None, id="none"),
        pytest.param({"HTTPS_PROXY": "http://p:1"}, "wss://h/", "http://p:1", id="https"),
        pytest.param({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "h"}, "wss://h/", None, id="exempt"),
        pytest.param({"HTTP_PROXY": "http://p:1"}, "wss://h/", None, id="another scheme"),
        pytest.param({"HTTP_PROXY": "http://p:1"}, "ws://h/", "http://p:1", id="http"),
        pytest.param({"HTTPS_PROXY": "http://p:1", "WSS_PROXY": "http://q:1"}, "wss://h/", "http://q:1", id="wss"),
    ],
)
def test_proxy_for(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], url: str, proxy: str | None) -> None:
    """The proxy is the one that the connection uses."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(url) == proxy
