"""``rt stream --mic`` without PortAudio: a recording program of the system replaces it."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from tests.listening import RATE_HZ, find, live, played, recorded
from tests.program import DATA, assert_accounted, rt, served

if TYPE_CHECKING:
    from pathlib import Path

    from tests.virtual_microphone import VirtualMicrophone

SPEECH = DATA / "sense_0930.wav"
NO_PORTAUDIO = 'raise OSError("PortAudio library not found")\n'
OUTAGE_S = 2.0


def without_portaudio(folder: Path, *programs: str) -> dict[str, str]:
    """Return an environment without PortAudio, with only these programs."""
    (folder / "sounddevice.py").write_text(NO_PORTAUDIO)
    path = folder / "bin"
    path.mkdir()
    for program in programs:
        found = shutil.which(program)
        if found is None:
            pytest.skip(f"{program} is not installed")
        (path / program).symlink_to(found)
    return {"PYTHONPATH": str(folder), "PATH": str(path)}


@pytest.mark.microphone
@pytest.mark.parametrize(
    "programs",
    [
        pytest.param(("parec", "pactl"), id="parec"),
        pytest.param(("parec",), id="parec alone"),
        pytest.param(("arecord",), id="arecord"),
    ],
)
def test_same_sound(virtual_microphone: VirtualMicrophone, tmp_path: Path, programs: tuple[str, ...]) -> None:
    """The received sound is the played sound; a warning names the program and how to get PortAudio."""
    env = {**virtual_microphone.environment, **without_portaudio(tmp_path, *programs)}
    received = tmp_path / "received"
    with served("--recognizer", "none", "--save-audio", str(received)) as (url, _), live(env, "--url", url) as running:
        warning = running.warned("recorder")
        virtual_microphone.play(SPEECH).wait(30)
        ran = running.interrupt()
    sound, heard = played(SPEECH), recorded(received)
    correlations = [find(part, heard)[1] for part in (sound, sound[:RATE_HZ], sound[-RATE_HZ // 2 :])]
    print("correlations", correlations)

    assert f"recording with {programs[0]}" in warning["message"]
    assert_accounted(ran.summary)
    assert (ran.exit, ran.of("dropped"), ran.summary["complete"]) == (0, [], True), ran.err
    assert min(correlations) > 0.99


def without_inputs(folder: Path, *programs: str) -> dict[str, str]:
    """Return an environment whose PortAudio lists no input, as in WSLg and in containers, with only these programs."""
    env = without_portaudio(folder, *programs)
    (folder / "sounddevice.py").unlink()
    (folder / "no_cards.conf").write_text("pcm.missing { type hw card 7 }\n")
    return {"PATH": env["PATH"], "ALSA_CONFIG_PATH": str(folder / "no_cards.conf")}


@pytest.mark.microphone
def test_portaudio_without_inputs(virtual_microphone: VirtualMicrophone, tmp_path: Path) -> None:
    """A PortAudio that lists no input is as good as none: a program records the played sound."""
    env = {**virtual_microphone.environment, **without_inputs(tmp_path, "parec", "pactl")}
    received = tmp_path / "received"
    with served("--recognizer", "none", "--save-audio", str(received)) as (url, _), live(env, "--url", url) as running:
        warning = running.warned("recorder")
        virtual_microphone.play(SPEECH).wait(30)
        ran = running.interrupt()

    assert "no microphone found: recording with parec" in warning["message"]
    assert (ran.exit, ran.of("dropped"), ran.summary["complete"]) == (0, [], True), ran.err
    assert find(played(SPEECH), recorded(received))[1] > 0.95


@pytest.mark.microphone
def test_doctor_without_inputs(virtual_microphone: VirtualMicrophone, tmp_path: Path) -> None:
    """The doctor records with the program, too."""
    env = {**virtual_microphone.environment, **without_inputs(tmp_path, "parec", "pactl")}
    findings = {
        event["check"]: event for event in rt("doctor", "--local", "--json", env=env).events if "check" in event
    }

    assert findings["devices"]["status"] == "warn"
    assert "parec" in findings["devices"]["detail"]
    assert "microphone" in findings


@pytest.mark.microphone
def test_no_inputs_and_no_program(virtual_microphone: VirtualMicrophone, tmp_path: Path) -> None:
    """Without an input and without a program: one line that says both."""
    env = {**virtual_microphone.environment, **without_inputs(tmp_path)}
    ran = rt("stream", "--mic", "--local", env=env)

    assert ran.exit == 3
    (cause,) = ran.causes
    assert "no microphone found; none of pw-record, parec, arecord is there" in cause


@pytest.mark.microphone
def test_outage(virtual_microphone: VirtualMicrophone, tmp_path: Path) -> None:
    """The run waits for its missing source by name, and does not record another one."""
    env = {**virtual_microphone.unpinned, **without_portaudio(tmp_path, "parec", "pactl")}
    with virtual_microphone.other(), live(env, "--local") as running:
        virtual_microphone.unload_source()
        try:
            running.warned("device_lost")
            time.sleep(OUTAGE_S)  # time for the other one to be tried
        finally:
            virtual_microphone.load_source()
        running.warned("device_back")
        ran = running.interrupt()
    holes = [event for event in ran.of("dropped") if event["reason"] == "device_lost"]

    assert_accounted(ran.summary)
    assert ran.exit == 7, ran.err
    assert sum(event["end_ms"] - event["start_ms"] for event in holes) >= OUTAGE_S * 1000


@pytest.mark.microphone
@pytest.mark.parametrize(
    ("device", "code"),
    [
        pytest.param("other_microphone", None, id="name"),
        pytest.param("nowhere", 3, id="unknown"),
        pytest.param("_microphone", 2, id="ambiguous"),
    ],
)
def test_device(virtual_microphone: VirtualMicrophone, tmp_path: Path, device: str, code: int | None) -> None:
    """A source is selected by the server's name; a missing or ambiguous name ends the run."""
    env = {**virtual_microphone.unpinned, **without_portaudio(tmp_path, "parec", "pactl")}
    with virtual_microphone.other():
        if code is None:
            with live(env, "--local", "--device", device) as running:
                listed = virtual_microphone.control("list", "source-outputs")
                sources = virtual_microphone.control("list", "short", "sources")
                ran = running.interrupt()
            (wanted,) = [line.split()[0] for line in sources.splitlines() if line.split()[1] == device]
            assert f"Source: {wanted}\n" in listed
            assert ran.exit == 0, ran.err
        else:
            ran = rt("stream", "--mic", "--local", "--device", device, env=env)
            assert ran.exit == code, ran.err
            assert len(ran.causes) == 1


def test_nothing_to_record_with(tmp_path: Path) -> None:
    """Without PortAudio and without a program: one line that says what to install."""
    ran = rt("stream", "--mic", "--local", env=without_portaudio(tmp_path))

    assert ran.exit == 3
    (cause,) = ran.causes
    assert "PortAudio" in cause
    assert "pw-record" in cause


@pytest.mark.skipif(os.name != "posix", reason="the programs are of Unix")
def test_programs_that_fail(tmp_path: Path) -> None:
    """Failing programs are named with their error output; the exit code is that of the microphone."""
    env = without_portaudio(tmp_path, "sh")
    for program in ("pw-record", "parec"):
        script = tmp_path / "bin" / program
        script.write_text(f"#!/bin/sh\necho '{program} is broken' >&2\nexit 1\n")
        script.chmod(0o755)
    ran = rt("stream", "--mic", "--local", env=env)

    assert ran.exit == 3
    (cause,) = ran.causes
    assert "pw-record is broken" in cause
    assert "parec is broken" in cause
