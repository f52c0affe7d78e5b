"""The machine that the program believes to run on: clocks, threads, signals, stdio, disk, microphone.

:func:`install` replaces parts of the standard library, for good, before ``rt_cli`` is imported: only for a process that
does nothing but simulate.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import queue
import random
import signal
import sys
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any

from tests.simulation.machine import threads
from tests.simulation.machine.disk import Disk, DiskFile
from tests.simulation.machine.sources import Stdin, open_microphone
from tests.simulation.machine.stdio import Reader, Stream
from tests.simulation.machine.threads import world
from tests.simulation.machine.world import Killed, Violation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.simulation.machine.world import World

ENVIRON = dict(os.environ)
"""The real environment, for processes that simulate."""
SIGNALS: dict[int, Callable[..., object]] = {}
"""The handlers of the present process."""


class Exited(BaseException):
    """The program called ``os._exit``."""


def install() -> None:
    """Put the machine in the place of the real one."""
    threading.Thread = threads.Thread  # type: ignore[misc,assignment]
    threading.Timer = threads.Timer  # type: ignore[misc,assignment]
    threading.Lock = threads.Lock  # type: ignore[assignment]
    threading.Condition = threads.Condition  # type: ignore[misc,assignment]
    queue.SimpleQueue = threads.SimpleQueue  # type: ignore[misc,assignment]
    time.monotonic = lambda: world().now
    time.perf_counter = lambda: world().now
    time.time = lambda: world().time()
    time.sleep = lambda seconds: world().sleep(seconds)
    time.clock_gettime = lambda clock: world().now + (world().asleep if clock == time.CLOCK_BOOTTIME else 0.0)
    signal.signal = _set_signal  # type: ignore[assignment]
    signal.getsignal = lambda number: SIGNALS.get(number, signal.SIG_DFL)  # type: ignore[assignment,return-value]
    signal.set_wakeup_fd = lambda *_args, **_options: -1  # type: ignore[assignment]
    gc.enable = lambda: None  # when garbage is collected is no part of a seed
    os._exit = _exit  # type: ignore[assignment]
    os.environ.clear()
    os.environ.update(HOME="/nonexistent", PATH="/usr/bin:/bin", TERM="dumb", RT_CONFIG="/dev/null")
    sys.unraisablehook = lambda _unraisable: None  # what a killed process leaves complains when it is collected
    logging.raiseExceptions = False
    logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)
    warnings.simplefilter("ignore")
    asyncio.events.new_event_loop = _no_loop  # type: ignore[assignment]
    _replace_parts()


def _replace_parts() -> None:
    """Replace what the program reaches hardware and models by, before others import the names."""
    from rt_cli.audio.microphone import reconnecting
    from rt_cli.audio.speech import vad
    from rt_cli.disk import outfile
    from tests.exact import ExactDetector

    class Detector(ExactDetector):
        """The exact one, or one that hears no speech: music, a language it does not know."""

        def push(self, pcm: bytes) -> list[float]:
            found = super().push(pcm)
            return [0.0] * len(found) if world().deaf else found

    vad.SpeechDetector = Detector  # type: ignore[misc,assignment]
    reconnecting.open_reconnecting = open_microphone  # type: ignore[assignment]
    open_raw = outfile.open_raw

    def open_simulated(*args: Any, **options: Any) -> DiskFile:
        with open_raw(*args, **options) as file:
            return Disk.present.file(os.dup(file.fileno()))

    outfile.open_raw = open_simulated
    outfile.os = _Os()  # type: ignore[assignment]


class _Os:
    """The module ``os``, whose writes into files of the simulated disk go through it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    @staticmethod
    def write(descriptor: int, data: Any) -> int:
        """Write; blocks as long as the disk takes."""
        file = Disk.present.find(descriptor)
        return os.write(descriptor, data) if file is None else file.write(data)


def _no_loop() -> asyncio.AbstractEventLoop:
    raise Violation("an event loop outside a run")


def _set_signal(number: int, handler: Any) -> Any:
    before = SIGNALS.get(number, signal.SIG_DFL)
    SIGNALS[number] = handler
    return before


def _exit(code: int) -> None:
    raise Exited(code)


def send_signal(number: int) -> None:
    """Send the process a signal: its handler runs at once, in the main thread."""
    handler = SIGNALS.get(number)
    world().note(f"signal {signal.Signals(number).name}")
    if callable(handler):
        handler(number, None)


def run_program(
    world: World, argv: list[str], stdin: Stdin | None, stdout: Reader, stderr: Reader, make_loop: Callable[[], Any]
) -> int | None:
    """Run ``rt`` to its end. Returns its exit code; None if it was killed.

    Raises:
        Violation: It waits for ever, or never waits.
    """
    from rt_cli.__main__ import main

    threads.Present.world = world
    SIGNALS.clear()
    random.seed(world.random.random())
    sys.argv = ["rt", *argv]
    real = sys.stdin, sys.stdout, sys.stderr, asyncio.events.new_event_loop
    sys.stdin, sys.stdout, sys.stderr = stdin, Stream(stdout), Stream(stderr)  # type: ignore[assignment]
    asyncio.events.new_event_loop = make_loop  # type: ignore[assignment]
    try:
        return main()
    except SystemExit as exc:
        return int(exc.code or 0)
    except Exited as exc:
        return int(exc.args[0])
    except Killed:
        return None
    finally:
        sys.stdin, sys.stdout, sys.stderr, asyncio.events.new_event_loop = real  # type: ignore[assignment]
        world.loop = None


def write_wav(path: Path, pcm: bytes) -> None:
    """Write a WAV file at 24 kHz."""
    head = b"RIFF" + (36 + len(pcm)).to_bytes(4, "little") + b"WAVEfmt \x10\0\0\0\1\0\1\0"
    head += (24_000).to_bytes(4, "little") + (48_000).to_bytes(4, "little") + b"\2\0\x10\0data"
    path.write_bytes(head + len(pcm).to_bytes(4, "little") + pcm)
