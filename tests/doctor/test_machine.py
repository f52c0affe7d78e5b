"""Machine, proxy variables, format of keys, and fixes by system."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.audio.microphone.devices import InputDevice
from rt_cli.doctor.finding import Finding
from rt_cli.doctor.key_shape import key_finding
from rt_cli.doctor.level import Rating, SpeechLevel
from rt_cli.doctor.machine import check_disk, check_python, disk_finding, linux_environment, proxy_finding
from rt_cli.doctor.sound import devices_finding, level_finding
from tests.fakes import run


def test_python() -> None:
    """No library is missing where the tests run."""
    findings: list[Finding] = []
    run(check_python(findings.append))
    assert [(each.check, each.status) for each in findings] == [("python", "ok"), ("libraries", "ok")]


def test_disk() -> None:
    """The free space is reported; too little of it is a warning."""
    findings: list[Finding] = []
    run(check_disk(findings.append))
    assert [each.check for each in findings] == ["disk"]
    assert (disk_finding("/x", 10**12).status, disk_finding("/x", 1000).status) == ("ok", "warn")


def test_no_folder_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a folder for temporary files gets a fix."""

    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", nowhere)
    findings: list[Finding] = []
    run(check_disk(findings.append))
    assert (findings[0].status, "TMPDIR" in (findings[0].fix or "")) == ("warn", True)


@pytest.mark.parametrize(
    ("version", "docker", "kind"),
    [
        ("Linux version 5.15.90.1-microsoft-standard-WSL2", False, "wsl"),
        ("Linux version 6.1.0-18-amd64", True, "container"),
        ("Linux version 6.1.0-18-amd64", False, "machine"),
        ("", False, "machine"),
    ],
)
def test_linux_environment(version: str, docker: bool, kind: str) -> None:  # noqa: FBT001  # a column of the table
    """WSL, a container and a plain machine are recognised."""
    assert linux_environment(version, has_docker_file=docker) == kind


@pytest.mark.parametrize("environ", [{}, {"HTTPS_PROXY": "http://p:1"}, {"no_proxy": "localhost"}])
def test_proxy_not_used(environ: dict[str, str]) -> None:
    """Proxy variables are reported even if they do not apply."""
    finding = proxy_finding(environ, proxy=None)
    assert finding.status == "ok"
    assert all(value in finding.detail for value in environ.values())


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8, max_size=20))
def test_proxy_secret(secret: str) -> None:
    """User and password of a proxy are never reported, with or without a scheme."""
    for proxy in (f"http://user:{secret}q@proxy:3128", f"user:{secret}q@proxy:3128"):
        for finding in (proxy_finding({}, proxy=proxy), proxy_finding({"ALL_PROXY": proxy}, proxy=None)):
            assert f"{secret}q" not in finding.detail
            assert "proxy:3128" in finding.detail


@pytest.mark.parametrize(
    ("key", "host", "status"),
    [
        pytest.param("sk-proj-" + "aB3_" * 20, "api.openai.com", "ok", id="openai"),
        pytest.param("ek_" + "a1" * 16, "api.openai.com", "ok", id="openai, ephemeral"),
        pytest.param("0123456789abcdef" * 2, "api.openai.com", "warn", id="a key of somebody else"),
        pytest.param("sk-your-api-key-here", "api.openai.com", "warn", id="placeholder"),
        pytest.param("sk-...", "api.openai.com", "warn", id="placeholder with dots"),
        pytest.param("xxxxxxxx", "example.org", "warn", id="placeholder anywhere"),
        pytest.param("0123456789abcdef" * 2, "my.openai.azure.com", "ok", id="azure"),
        pytest.param("aB3" * 28, "my.openai.azure.com", "ok", id="azure, new"),
        pytest.param("sk-proj-" + "a" * 40, "my.openai.azure.com", "warn", id="a key of openai at azure"),
        pytest.param("whatever it is", "example.org", "ok", id="a host nobody knows"),
    ],
)
def test_key_shape(key: str, host: str, status: str) -> None:
    """A key with a wrong format is a warning. No key is printed."""
    finding = key_finding("OPENAI_API_KEY", key, host)
    assert finding.status == status
    assert key not in f"{finding.detail} {finding.fix}"


@given(st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1))
def test_key_is_never_shown(key: str) -> None:
    """The finding for a key equals the finding for another key of the same kind: no part of the key is in it."""
    hosts = ("api.openai.com", "my.openai.azure.com", "example.org")
    known = {key_finding("K", each, host).detail for host in hosts for each in ("x", "xxx", "sk-" + "a" * 30, "f" * 32)}
    assert {key_finding("K", key, host).detail for host in hosts} <= known


@pytest.mark.parametrize(
    ("place", "fix"), [("container", "/dev/snd"), ("wsl", "WSLg"), ("Darwin", "Sound > Input"), ("machine", "PipeWire")]
)
def test_no_devices(place: str, fix: str) -> None:
    """Without a microphone the check fails, with a fix for each environment."""
    finding = devices_finding([], place)
    assert (finding.status, finding.exit, fix in (finding.fix or "")) == ("fail", 3, True)


def test_devices() -> None:
    """All devices are listed, the default is marked."""
    found = [InputDevice(at, name, "ALSA", 2, 48_000, is_default=at == 1) for at, name in enumerate(("a", "b"))]
    assert devices_finding(found, "machine") == Finding("devices", "ok", '2: "ALSA:a", "ALSA:b" (default)')


@pytest.mark.parametrize("system", ["Linux", "Darwin", "Windows", "Haiku"])
@pytest.mark.parametrize(
    ("rating", "status", "code"),
    [("silent", "fail", 3), ("quiet", "warn", 0), ("good", "ok", 0), ("clipping", "warn", 0)],
)
def test_level_finding(system: str, rating: Rating, status: str, code: int) -> None:
    """Each rating has its status, and each system its own fix."""
    level = SpeechLevel(rating, -30.0, -10.0, "▁▅")
    finding = level_finding(level, '"Yeti" at 48000 Hz', system, muted=False)
    assert (finding.status, finding.exit) == (status, code)
    assert rating in finding.detail
    assert "▁▅" in finding.detail
    assert (finding.fix is None) == (rating == "good")
    assert (system == "Linux") == ("pactl" in (finding.fix or "")) or rating == "good"


def test_muted() -> None:
    """A muted microphone gets a fix that unmutes it."""
    finding = level_finding(SpeechLevel("silent", -96, -96, ""), "it", "Linux", muted=True)
    assert "it is muted" in (finding.fix or "")
