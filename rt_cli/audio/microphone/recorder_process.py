"""A microphone without PortAudio: a recording program of the system writes its sound into a pipe.

Where ``pactl`` answers, the source is chosen by its name and stays the one; what the default was at first is what we
stay with.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from rt_cli.audio.channels import check, needed
from rt_cli.audio.microphone.call_in_thread import call_in_thread
from rt_cli.audio.microphone.convert import WireConverter
from rt_cli.audio.microphone.devices import Identity, select
from rt_cli.audio.microphone.portaudio_stream import CLOSE_DEADLINE_S, DeviceBuffer, Microphone
from rt_cli.audio.microphone.pulse import ask, default_source
from rt_cli.audio.microphone.recorder_commands import (
    PROGRAMS,
    choose_source,
    lone_recorders,
    parse_pcms,
    parse_sources,
    server_recorders,
)
from rt_cli.audio.source import SourceInfo
from rt_cli.errors import AudioError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import IO

    from rt_cli.audio.channels import Pick
    from rt_cli.audio.microphone.recorder_commands import RecorderCommand

_READ_BYTES = 1 << 16
_SPAWN_DEADLINE_S = 5.0
FIRST_SOUND_S = 4.0
"""A program that cannot record ends at once; one that goes on without sound is given so long."""
_POLITE_S = 0.5
_AU_MAGIC = b".snd"
"""What a pw-record that knows no raw pipe begins with."""
_OVERRUN = re.compile(rb"overrun.*?([\d.]+) ms")


def installed() -> list[str]:
    """The recording programs on this machine, in the order in which they are tried."""
    return [program for program in PROGRAMS if shutil.which(program) is not None]


async def open_recorder(
    device: str | None, *, wire_rate_hz: int, chunk_ms: int = 40, pick: Pick = "mix"
) -> tuple[Microphone, RecorderCommand, Callable[[float], Awaitable[Microphone]]]:
    """Open a microphone through the first program that gives sound.

    Args:
        device: None for the default; else a name as :func:`choose_source` takes it, or one that ``arecord -L`` lists.
        wire_rate_hz: Of the blocks it will yield.
        chunk_ms: How much the caller likes to send at once.
        pick: Which channels are heard; of ``split`` the blocks hold two, interleaved.

    Returns:
        The microphone, from which sound has arrived; what it is recorded with; and what opens the same source again
        with the same program, given the seconds to wait for sound.

    Raises:
        UsageError: Several devices are meant.
        AudioError: No program (``no_recorder``), no such device, or none of them gives sound.

    Safe to cancel: the program is ended.
    """
    programs = installed()
    if not programs:
        raise AudioError(f"none of {', '.join(PROGRAMS)} is there", code="no_recorder")
    opened = partial(_open, wire_rate_hz=wire_rate_hz, block_s=min(max(chunk_ms, 10), 100) / 1000, pick=pick)
    failures = []
    for recorder in await _recorders(programs, device, pick):
        try:
            microphone = await opened(recorder, FIRST_SOUND_S)
        except AudioError as error:
            failures.append(f"{recorder.program}: {error.message}")
            continue
        return microphone, recorder, partial(opened, recorder)
    raise AudioError("; ".join(failures) or f"no source for {programs[0]}", code="recorder_failed")


async def _recorders(programs: Sequence[str], device: str | None, pick: Pick) -> list[RecorderCommand]:
    """What to try, in order."""
    listed, info = await ask("list", "sources"), await ask("info")
    sources = parse_sources(listed or "")
    raw = "pw-record" in programs and "--raw" in await _said_by("pw-record", "--help")
    if sources and set(programs) & {"pw-record", "parec"}:
        place = choose_source(sources, device, default_source(info or ""))
        if place is not None:
            check(sources[place][1].channels, pick, f'the microphone "{sources[place][1].name}" ')
            return server_recorders(programs, *sources[place], needed(pick), raw=raw)
    if device is None or "arecord" not in programs:
        return lone_recorders(programs, None, needed(pick), raw=raw) if device is None else []
    pcms = parse_pcms(await _said_by("arecord", "-L"))
    return lone_recorders(programs, select(pcms, device).name, needed(pick), raw=raw)


async def _said_by(*command: str) -> str:
    """What a program prints on stdout; nothing where it does not within a deadline."""

    def said() -> str:
        done = subprocess.run(  # noqa: S603  # our own words
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SPAWN_DEADLINE_S, check=False
        )
        return done.stdout.decode(errors="replace")

    try:
        return await call_in_thread(said, deadline_s=2 * _SPAWN_DEADLINE_S)
    except (OSError, TimeoutError, subprocess.TimeoutExpired):
        return ""


class RecorderProcess:
    """A running recorder, out of the terminal's signals; closed like a stream of PortAudio.

    Args:
        recorder: What to run.
        capture: Where its sound goes.
    """

    latency = 0.1
    """How late sound may be in the pipe, seconds."""

    def __init__(self, recorder: RecorderCommand, capture: DeviceBuffer) -> None:
        self._capture = capture
        self._rate_hz = recorder.rate_hz
        self._last_line = b""
        self._overruns_ms: deque[float] = deque()
        self._process = subprocess.Popen(  # noqa: S603  # our own words, and names that the server gave
            [recorder.program, *recorder.arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        for read, stream in ((self._read, self._process.stdout), (self._listen, self._process.stderr)):
            threading.Thread(target=read, args=(stream,), name=f"rt-{recorder.program}", daemon=True).start()

    @property
    def process_id(self) -> int:
        """Of the program."""
        return self._process.pid

    @property
    def complaint(self) -> str:
        """The last line of its stderr."""
        return self._last_line.decode(errors="replace").strip()

    def abort(self, *, ignore_errors: bool = True) -> None:  # noqa: ARG002  # as PortAudio's stream has it
        """Ask it to end."""
        self._process.terminate()

    def close(self, *, ignore_errors: bool = True) -> None:  # noqa: ARG002  # the same
        """Wait for its end; half a second later it is killed. Blocks."""
        try:
            self._process.wait(_POLITE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self, stream: IO[bytes]) -> None:
        """Runs in a thread of its own until the program closes its end."""
        frame, rest, begun = self._capture.frame_bytes, b"", False
        with stream:
            while data := os.read(stream.fileno(), _READ_BYTES):
                data = rest + data
                if not begun and data.startswith(_AU_MAGIC):
                    self._last_line = b"it writes no raw sound into a pipe"
                    break
                begun = True
                self._lose_overruns()
                whole = len(data) - len(data) % frame
                self._capture.take(memoryview(data)[:whole], whole // frame)
                rest = data[whole:]
        self._capture.on_finished()

    def _lose_overruns(self) -> None:
        while self._overruns_ms:
            lost = round(self._overruns_ms.popleft() * self._rate_hz / 1000)
            self._capture.ring.lose(lost * self._capture.frame_bytes)

    def _listen(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                if overrun := _OVERRUN.search(line):
                    self._overruns_ms.append(float(overrun[1]))
                elif line.strip():
                    self._last_line = line


async def _open(
    recorder: RecorderCommand, first_block_s: float, *, wire_rate_hz: int, block_s: float, pick: Pick
) -> Microphone:
    """Start a recorder and wait for its first sound.

    Raises:
        AudioError: Its source is not there, or it gives no sound in time.
    """
    number = None if recorder.source is None else await _number_of(recorder.source)
    if recorder.source is not None and number is None:
        raise AudioError(f'the microphone "{recorder.name}" is not there', "plug it in again", code="no_such_device")
    capture = DeviceBuffer(asyncio.get_running_loop(), recorder.rate_hz, recorder.channels)

    def start() -> RecorderProcess:
        return RecorderProcess(recorder, capture)

    try:
        process = await call_in_thread(start, deadline_s=_SPAWN_DEADLINE_S, discard=_end)
    except OSError as error:
        raise AudioError(error.strerror or "cannot be run", code="recorder_failed") from error
    except TimeoutError as error:
        raise AudioError("it does not start", code="recorder_failed") from error
    try:
        await _sound(capture, first_block_s)
    except BaseException as error:
        await call_in_thread(partial(_end, process), deadline_s=CLOSE_DEADLINE_S)
        if isinstance(error, TimeoutError):
            raise AudioError(process.complaint or "it gives no sound", code="recorder_failed") from error
        raise
    info = SourceInfo(recorder.name, "microphone", live=True, rate_hz=recorder.rate_hz, channels=recorder.channels)
    converter = WireConverter(recorder.rate_hz, recorder.channels, wire_rate_hz, pick)
    microphone = Microphone(info, process, capture, converter, block_s, Identity(recorder.name, 1, 0))
    if recorder.source is not None:
        microphone.watch_server(process.process_id, number)
    return microphone


async def _number_of(source: str) -> int | None:
    """The server's number for a source; None where it is not there."""
    there = {name: device.index for name, device in parse_sources(await ask("list", "sources") or "")}
    return there.get(source)


async def _sound(capture: DeviceBuffer, seconds: float) -> None:
    """Wait for the first block. Raises TimeoutError where none comes, or the program ends before."""
    async with asyncio.timeout(seconds):
        await capture.heard.wait()
    if not capture.blocks:
        raise TimeoutError


def _end(process: Any) -> None:
    process.abort()
    process.close()
