"""RecorderProcess with real processes that write audio, print errors, fail or ignore SIGTERM."""

from __future__ import annotations

import os
import stat
import sys
import time
from typing import TYPE_CHECKING

import pytest

from rt_cli.audio.microphone.recorder_process import open_recorder
from rt_cli.errors import AudioError
from tests.fakes import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rt_cli.audio.microphone.portaudio_stream import Microphone

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the programs are of Unix")

WIRE_RATE_HZ = 24_000
PRELUDE = """\
import os, signal, sys, time
from array import array
if "--help" in sys.argv:
    sys.exit()
pid = open(sys.argv[0] + ".pid", "w"); pid.write(str(os.getpid())); pid.close()
def sound(seconds, value=0.25):
    sys.stdout.buffer.write(array("f", [value] * round(48_000 * seconds)).tobytes())
    sys.stdout.buffer.flush()
def on_and_on():
    while True:
        sound(0.04)
        time.sleep(0.04)
"""


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Install scripted programs as the only ones in PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def put_program(name: str, does: str) -> Path:
        script = tmp_path / name
        script.write_text(f"#!{sys.executable}\n{PRELUDE}{does}\n")
        script.chmod(stat.S_IRWXU)
        return script

    return put_program


def process_of(script: Path) -> int:
    """Process id of a program."""
    return int(script.with_suffix(".pid").read_text())


def is_alive(process_id: int) -> bool:
    """True if the process exists."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


async def opened() -> Microphone:
    """The default microphone."""
    return (await open_recorder(None, wire_rate_hz=WIRE_RATE_HZ))[0]


def test_overrun(put: Callable[[str, str], Path]) -> None:
    """An overrun of ALSA is a hole of the printed length; all other audio is yielded."""
    put("arecord", 'sound(1); print("overrun!!! (at least 250.000 ms long)", file=sys.stderr, flush=True); on_and_on()')

    async def scenario() -> int:
        microphone = await opened()
        try:
            async for block in microphone.blocks():
                if block.lost:
                    return block.lost
        finally:
            await microphone.aclose()
        return 0

    assert run(scenario()) == WIRE_RATE_HZ // 4


def test_program_dies(put: Callable[[str, str], Path]) -> None:
    """If the program dies, all its audio is yielded, then the device is lost."""
    put("parec", "sound(2)")

    async def scenario() -> tuple[int, str]:
        microphone = await opened()
        samples = 0
        try:
            async for block in microphone.blocks():
                samples += block.lost + len(block.pcm) // 2
        except AudioError as error:
            return samples, error.code
        finally:
            await microphone.aclose()
        return samples, "no error"

    assert run(scenario()) == (2 * WIRE_RATE_HZ, "device_lost")


def test_no_raw_sound(put: Callable[[str, str], Path]) -> None:
    """If pw-record writes a header, another program is used."""
    put("pw-record", 'sys.stdout.write(".snd"); sys.stdout.flush(); on_and_on()')
    put("parec", "on_and_on()")

    async def scenario() -> str:
        microphone, recorder, _ = await open_recorder(None, wire_rate_hz=WIRE_RATE_HZ)
        await microphone.aclose()
        return recorder.program

    assert run(scenario()) == "parec"


@pytest.mark.parametrize("stubborn", [False, True], ids=["polite", "stubborn"])
def test_close_ends_the_program(put: Callable[[str, str], Path], *, stubborn: bool) -> None:
    """The program gets no signals of the terminal, and aclose() ends it even if it ignores SIGTERM."""
    script = put("parec", ("signal.signal(signal.SIGTERM, signal.SIG_IGN); " if stubborn else "") + "on_and_on()")

    async def scenario() -> tuple[int, int]:
        microphone = await opened()
        child = process_of(script)
        group = os.getpgid(child)
        await microphone.aclose()
        return child, group

    child, group = run(scenario())
    assert group == child != os.getpgid(0)
    assert not is_alive(child)


def test_cancelled(put: Callable[[str, str], Path]) -> None:
    """Cancelling the opening ends the program."""
    script = put("parec", "time.sleep(60)")

    async def scenario() -> int:
        import asyncio

        opening = asyncio.create_task(opened())
        while not (script.with_suffix(".pid").exists() and script.with_suffix(".pid").read_text()):  # noqa: ASYNC110  # a program has no event
            await asyncio.sleep(0.01)
        opening.cancel()
        await asyncio.wait([opening])
        assert opening.cancelled()
        return process_of(script)

    assert not is_alive(run(scenario()))


def test_nothing_installed(put: Callable[[str, str], Path]) -> None:
    """Without a program the error lists the supported ones."""
    assert put
    with pytest.raises(AudioError, match="pw-record, parec, arecord") as caught:
        run(opened())
    assert caught.value.code == "no_recorder"


def test_reopens_the_same(put: Callable[[str, str], Path]) -> None:
    """Reopening uses the same program, even if a preferred one is installed now."""
    put("parec", "on_and_on()")

    async def scenario() -> float | None:
        microphone, _, again = await open_recorder(None, wire_rate_hz=WIRE_RATE_HZ)
        await microphone.aclose()
        put("pw-record", "on_and_on()")
        second = await again(5)
        try:
            return second.began_at
        finally:
            await second.aclose()

    began_at = run(scenario())
    assert began_at is not None
    assert began_at <= time.monotonic()
