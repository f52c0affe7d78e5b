"""This machine, its proxy variables, keys by their shape, and what to do on which system."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.audio.microphone.devices import InputDevice
from rt_cli.doctor.finding import Finding
from rt_cli.doctor.key_shape import key_finding
from rt_cli.doctor.level import SpeechLevel, Verdict
from rt_cli.doctor.machine import disk_finding, kind_of_place, look_at_disk, look_at_python, proxy_finding
from rt_cli.doctor.sound import devices_finding, level_finding
from tests.fakes import run


def test_python() -> None:
    """Here, where the tests run, nothing is missing."""
    told: list[Finding] = []
    run(look_at_python(told.append))
    assert [(each.check, each.status) for each in told] == [("python", "ok"), ("libraries", "ok")]


def test_disk() -> None:
    """The disk that is there is told; a full one is a warning."""
    told: list[Finding] = []
    run(look_at_disk(told.append))
    assert [each.check for each in told] == ["disk"]
    assert (disk_finding("/x", 10**12).status, disk_finding("/x", 1000).status) == ("ok", "warn")


def test_no_folder_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without one is told what to set."""

    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", nowhere)
    told: list[Finding] = []
    run(look_at_disk(told.append))
    assert (told[0].status, "TMPDIR" in (told[0].fix or "")) == ("warn", True)


@pytest.mark.parametrize(
    ("version", "docker", "kind"),
    [
        ("Linux version 5.15.90.1-microsoft-standard-WSL2", False, "wsl"),
        ("Linux version 6.1.0-18-amd64", True, "container"),
        ("Linux version 6.1.0-18-amd64", False, "machine"),
        ("", False, "machine"),
    ],
)
def test_kind_of_place(version: str, docker: bool, kind: str) -> None:  # noqa: FBT001  # a column of the table
    """WSL, a container, a machine."""
    assert kind_of_place(version, has_docker_file=docker) == kind


@pytest.mark.parametrize("environ", [{}, {"HTTPS_PROXY": "http://p:1"}, {"no_proxy": "localhost"}])
def test_proxy_not_used(environ: dict[str, str]) -> None:
    """Variables that do not apply are told all the same."""
    finding = proxy_finding(environ, used=None)
    assert finding.status == "ok"
    assert all(value in finding.detail for value in environ.values())


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8, max_size=20))
def test_proxy_secret(secret: str) -> None:
    """User and password of a proxy are never told, with or without a scheme."""
    for proxy in (f"http://user:{secret}q@proxy:3128", f"user:{secret}q@proxy:3128"):
        for finding in (proxy_finding({}, used=proxy), proxy_finding({"ALL_PROXY": proxy}, used=None)):
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
    """A key that cannot be one of the provider's is a warning, and none is shown."""
    finding = key_finding("OPENAI_API_KEY", key, host)
    assert finding.status == status
    assert key not in f"{finding.detail} {finding.fix}"


@given(st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1))
def test_key_is_never_shown(key: str) -> None:
    """Whatever the key, the finding is the same as for another one of its kind: nothing of it is in there."""
    hosts = ("api.openai.com", "my.openai.azure.com", "example.org")
    known = {key_finding("K", each, host).detail for host in hosts for each in ("x", "xxx", "sk-" + "a" * 30, "f" * 32)}
    assert {key_finding("K", key, host).detail for host in hosts} <= known


@pytest.mark.parametrize(
    ("place", "fix"), [("container", "/dev/snd"), ("wsl", "WSLg"), ("Darwin", "Sound > Input"), ("machine", "PipeWire")]
)
def test_no_devices(place: str, fix: str) -> None:
    """A machine without a microphone cannot do the main job, and each kind is told what to do."""
    finding = devices_finding([], place)
    assert (finding.status, finding.exit, fix in (finding.fix or "")) == ("fail", 3, True)


def test_devices() -> None:
    """All are named, the default is marked."""
    found = [InputDevice(at, name, "ALSA", 2, 48_000, is_default=at == 1) for at, name in enumerate(("a", "b"))]
    assert devices_finding(found, "machine") == Finding("devices", "ok", '2: "ALSA:a", "ALSA:b" (default)')


@pytest.mark.parametrize("system", ["Linux", "Darwin", "Windows", "Haiku"])
@pytest.mark.parametrize(
    ("verdict", "status", "code"),
    [("silent", "fail", 3), ("quiet", "warn", 0), ("good", "ok", 0), ("clipping", "warn", 0)],
)
def test_level_finding(system: str, verdict: Verdict, status: str, code: int) -> None:
    """Each verdict has its status, and each system its own fix."""
    level = SpeechLevel(verdict, -30.0, -10.0, "▁▅")
    finding = level_finding(level, '"Yeti" at 48000 Hz', system, muted=False)
    assert (finding.status, finding.exit) == (status, code)
    assert verdict in finding.detail
    assert "▁▅" in finding.detail
    assert (finding.fix is None) == (verdict == "good")
    assert (system == "Linux") == ("pactl" in (finding.fix or "")) or verdict == "good"


def test_muted() -> None:
    """A microphone that is known to be muted is told how to unmute it."""
    finding = level_finding(SpeechLevel("silent", -96, -96, ""), "it", "Linux", muted=True)
    assert "it is muted" in (finding.fix or "")
