"""Connections to an endpoint: headers, certificates of both sides, proxies; against real servers."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.program import ROOT, Ran, noise, rt, write_wav
from tests.servers import CERTIFICATE, CLIENT, Server, answering, polite, scripted
from tests.ways import connect_proxy, socks_proxy

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "blue-elephant 17"
TRUSTED = ("--cacert", str(CERTIFICATE))


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A file to send."""
    return write_wav(tmp_path / "sound.wav", noise(4800))


def send(sound: Path, url: str, *more: str, env: dict[str, str] | None = None) -> Ran:
    """Send the file at full speed, with NDJSON and full logging."""
    common = ("send", "--url", url, "-m", "whisper-1", "--speed", "max", "--connect-timeout", "5", "--retry-for", "0")
    return rt(*common, "--json", "-vv", *more, str(sound), env=env)


def succeeded(ran: Ran) -> bool:
    """Return whether the words arrived."""
    return ran.exit == 0 and [event["text"] for event in ran.of("final")] == ["fine"]


# -- headers ----------------------------------------------------------------------------------------------------------


def test_headers_arrive_and_are_in_no_log(sound: Path) -> None:
    """Headers from options and from the file arrive, and are in no log."""
    config = sound.with_name("c.toml")
    with scripted(polite("fine")) as server:
        config.write_text(f'[endpoint]\nurl = "{server.url}"\nheaders = {{"X-Team" = "wrong", X-Floor = "3"}}\n')
        common = ("send", "--config", str(config), "-m", "whisper-1", "--speed", "max", "--json", "-vv")
        ran = rt(*common, "-H", f"x-team: {SECRET}", "--header", "X-Empty:", str(sound))

    assert succeeded(ran), ran.err
    headers = server.headers[0]
    assert (headers["x-team"], headers["x-floor"], headers["x-empty"]) == (SECRET, "3", "")
    assert SECRET not in ran.out + ran.err


def test_a_refusal_that_repeats_a_header(sound: Path) -> None:
    """The error text does not contain the header's value."""
    with answering(400, f'{{"error":{{"message":"bad team {SECRET}"}}}}') as server:
        ran = send(sound, server.url, "-H", f"X-Team: {SECRET}")

    assert ran.exit != 0
    assert "bad team ***" in ran.err
    assert SECRET not in ran.out + ran.err


def test_header_with_a_word_of_the_protocol(sound: Path) -> None:
    """Messages mask keys but no headers; otherwise a header value could mask the type of each event."""
    with scripted(polite("fine")) as server:
        ran = send(sound, server.url, "-H", "X-Purpose: transcription")

    assert succeeded(ran), ran.err


@pytest.mark.parametrize("name", ["Authorization", "api-key", "Cookie", "X-API-Key"])
def test_a_key_is_not_taken_as_a_header(name: str) -> None:
    """A key as a header option is refused: arguments are public. The message does not repeat it."""
    ran = rt("send", "--url", "ws://127.0.0.1:9", "-H", f"{name}: {SECRET}", "x.wav")

    assert (ran.exit, len(ran.err.splitlines())) == (2, 1)
    assert "--api-key-file" in ran.err
    assert SECRET not in ran.err


@pytest.mark.parametrize("header", ["X-Team", ": x", "Häder: x", "X: ü", "X: a\nb", "Host: x", "Sec-WebSocket-Key: x"])
def test_what_is_no_header_is_a_usage_error(header: str) -> None:
    """An invalid header is an error before anything is sent; the message does not repeat the value."""
    ran = rt("send", "--url", "ws://127.0.0.1:9", "-H", header, "x.wav")

    assert (ran.exit, len(ran.err.splitlines())) == (2, 1)
    assert "--header" in ran.err


def test_headers_stay_with_their_url(sound: Path) -> None:
    """Headers of one URL in the file are not sent to another."""
    config = sound.with_name("c.toml")
    config.write_text('[endpoint]\nurl = "wss://elsewhere.test"\nheaders = {X-Team = "a"}\n')
    with scripted(polite("fine")) as server:
        ran = send(sound, server.url, "--config", str(config))

    assert succeeded(ran), ran.err
    assert "x-team" not in server.headers[0]


# -- certificates -----------------------------------------------------------------------------------------------------


def certificate_files(folder: Path) -> tuple[str, str]:
    """Return the client's certificate and its key in two files."""
    certificate, _, key = CLIENT.read_text().partition("-----BEGIN PRIVATE KEY-----")
    (folder / "cert.pem").write_text(certificate)
    (folder / "key.pem").write_text(f"-----BEGIN PRIVATE KEY-----{key}")
    return str(folder / "cert.pem"), str(folder / "key.pem")


@pytest.mark.parametrize("split", [False, True], ids=["one file", "two files"])
def test_client_certificate(*, split: bool, sound: Path) -> None:
    """A server that requires a client certificate accepts it."""
    cert, key = certificate_files(sound.parent)
    shown = ("--client-cert", cert, "--client-key", key) if split else ("--client-cert", str(CLIENT))
    with scripted(polite("fine"), asks=True) as server:
        ran = send(sound, server.url, *TRUSTED, *shown)

    assert succeeded(ran), ran.err


def test_missing_client_certificate(sound: Path) -> None:
    """The error says that the certificate is missing."""
    with scripted(polite("fine"), asks=True) as server:
        ran = send(sound, server.url, *TRUSTED)

    assert ran.exit == 5
    assert server.clients == 0
    assert "--client-cert" in ran.causes[-1]


def test_bad_client_certificates(sound: Path) -> None:
    """One line each, which names the file; no prompt for a passphrase."""
    cert, key = certificate_files(sound.parent)
    locked = sound.with_name("locked.pem")
    command = ("openssl", "pkcs8", "-topk8", "-in", key, "-passout", "pass:x", "-out", str(locked))
    encrypted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    rows = [
        (("--client-cert", "/nowhere.pem"), "nowhere"),
        (("--client-cert", cert), "cert.pem"),
        (("--client-cert", str(sound)), "sound.wav"),
        (("--client-cert", str(CERTIFICATE), "--client-key", key), "localhost.pem"),
        (("--client-key", key), "--client-cert"),
        *([(("--client-cert", cert, "--client-key", str(locked)), "cert.pem")] if encrypted else []),
    ]
    for given, expected in rows:
        ran = rt("send", "--url", "wss://127.0.0.1:9", *given, str(sound))
        assert (ran.exit, len(ran.err.splitlines())) == (2, 1), (given, ran.err)
        assert expected in ran.err


def test_insecure_connects_and_warns_every_time(sound: Path) -> None:
    """A warning in both outputs; with ``--quiet`` in NDJSON at least."""
    with scripted(polite("fine"), secure=True) as server:
        refused = send(sound, server.url)
        runs = [send(sound, server.url, "-k"), send(sound, server.url, "--insecure")]
        text = rt("send", "--url", server.url, "-m", "whisper-1", "-k", "--speed", "max", str(sound))

    assert refused.exit == 5
    for ran in runs:
        assert succeeded(ran), ran.err
        assert ran.warning_codes.count("insecure") == 1
    assert (text.exit, text.out) == (0, "fine\n")
    assert "not checked" in text.err


def test_authorities_of_the_environment(sound: Path) -> None:
    """``SSL_CERT_FILE`` works as in OpenSSL."""
    with scripted(polite("fine"), secure=True) as server:
        ran = send(sound, server.url, env={"SSL_CERT_FILE": str(CERTIFICATE)})

    assert succeeded(ran), ran.err


# -- proxies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
def test_an_http_proxy_leads_to_the_endpoint(*, secure: bool, sound: Path) -> None:
    """The proxy gets the endpoint's name, which only the proxy can resolve."""
    with scripted(polite("fine"), secure=secure) as server, connect_proxy(server.port) as way:
        url = f"{'wss' if secure else 'ws'}://endpoint.test:8443"
        ran = send(sound, url, "-k", env={"RT_PROXY": f"http://user:open-sesame@127.0.0.1:{way.port}"})

    assert succeeded(ran), ran.err
    assert way.asked == ["endpoint.test:8443"]
    assert any(line.startswith("Proxy-Authorization: Basic ") for line in way.headers)
    assert "open-sesame" not in ran.out + ran.err


def test_a_socks_proxy_leads_to_the_endpoint(sound: Path) -> None:
    """``socks5h``: the proxy resolves the name."""
    with scripted(polite("fine")) as server, socks_proxy(server.port) as way:
        ran = send(sound, "ws://endpoint.test:8080", "--proxy", f"socks5h://127.0.0.1:{way.port}")

    assert succeeded(ran), ran.err
    assert way.asked == ["endpoint.test:8080"]


@pytest.mark.parametrize(("exempt", "asked"), [("", 1), ("0.0.0.0", 0)])
def test_the_proxy_of_the_environment(exempt: str, asked: int, sound: Path) -> None:
    """``HTTPS_PROXY``, but not for a host in ``NO_PROXY``."""
    if sys.platform == "win32":
        pytest.skip("nobody answers at 0.0.0.0 there")
    with scripted(polite("fine"), secure=True) as server, connect_proxy(server.port) as way:
        env = {"HTTPS_PROXY": f"http://127.0.0.1:{way.port}", "NO_PROXY": exempt}
        ran = send(sound, f"wss://0.0.0.0:{server.port}", "-k", env=env)

    assert succeeded(ran), ran.err
    assert len(way.asked) == asked


def test_this_machine_needs_no_proxy(sound: Path) -> None:
    """Only ``--proxy`` applies to loopback, not the environment."""
    with scripted(polite("fine")) as server, connect_proxy(server.port) as way:
        ran = send(sound, server.url, env={"HTTPS_PROXY": f"http://127.0.0.1:{way.port}"})
        assert way.asked == []
        meant = send(sound, server.url, "--proxy", f"http://127.0.0.1:{way.port}")

    assert succeeded(ran), ran.err
    assert succeeded(meant), meant.err
    assert len(way.asked) == 1


def test_broken_proxies(sound: Path) -> None:
    """A refusal or a missing proxy: one line that names the proxy, and an exit code."""
    server = Server()
    with connect_proxy(server.port, refuses=True) as http, socks_proxy(server.port, refuses=True) as socks:
        rows = [
            (f"http://127.0.0.1:{http.port}", 4),
            (f"socks5h://127.0.0.1:{socks.port}", 5),
            ("http://127.0.0.1:9", 5),
            ("socks5://127.0.0.1:9", 5),
        ]
        for proxy, code in rows:
            ran = send(sound, "ws://endpoint.test", "--proxy", proxy)
            assert ran.exit == code, (proxy, ran.err)
            assert "proxy" in ran.causes[-1], (proxy, ran.err)


@pytest.mark.parametrize(("login", "code"), [("", 4), ("user:wrong-sesame@", 4), ("user:open-sesame@", 0)])
def test_a_proxy_that_asks_for_a_password(login: str, code: int, sound: Path) -> None:
    """The password comes from the environment; a wrong one is an error of the proxy, and is not printed."""
    with scripted(polite("fine")) as server, connect_proxy(server.port, login="user:open-sesame") as way:
        env = {"RT_PROXY": f"http://{login}127.0.0.1:{way.port}"}
        ran = send(sound, "ws://endpoint.test:8080", env=env)

    assert ran.exit == code, ran.err
    assert len(way.asked) == 1
    assert "sesame" not in ran.out + ran.err
    if code:
        assert re.search("the proxy refused: HTTP 407: check the proxy's user and password", ran.causes[-1])
    else:
        assert succeeded(ran), ran.err


def test_a_proxy_that_is_busy_is_asked_again(sound: Path) -> None:
    """A 503 of the proxy is an outage."""
    with scripted(polite("fine")) as server, connect_proxy(server.port, busy=2) as way:
        ran = send(sound, "ws://endpoint.test:8080", env={"RT_PROXY": f"http://127.0.0.1:{way.port}"})

    assert succeeded(ran), ran.err
    assert len(way.asked) == 3


def test_socks_without_its_library(sound: Path) -> None:
    """The message names the extra."""
    hide = "import sys; sys.modules['python_socks'] = None; from rt_cli.__main__ import main; sys.exit(main())"
    arguments = ("send", "--url", "ws://endpoint.test", "--proxy", "socks5h://127.0.0.1:9", str(sound))
    done = subprocess.run(
        [sys.executable, "-c", hide, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )

    assert done.returncode == 2
    assert "rt-cli[socks]" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_password_for_a_proxy_is_not_taken_as_an_option() -> None:
    """A proxy password as an option is refused: arguments are public."""
    ran = rt("send", "--url", "ws://127.0.0.1:9", "--proxy", "http://user:open-sesame@h:1", "x.wav")

    assert (ran.exit, len(ran.err.splitlines())) == (2, 1)
    assert "HTTPS_PROXY" in ran.err
    assert "open-sesame" not in ran.err


@pytest.mark.parametrize("proxy", ["127.0.0.1:8080", "ftp://h:1", "http://", "http://h:x", "http://h/p", "http://a b"])
def test_what_is_no_proxy_is_a_usage_error(proxy: str) -> None:
    """An invalid proxy is an error before anything is sent."""
    ran = rt("send", "--url", "ws://127.0.0.1:9", "--proxy", proxy, "x.wav")

    assert (ran.exit, len(ran.err.splitlines())) == (2, 1)
    assert "socks5h://HOST:PORT" in ran.err
