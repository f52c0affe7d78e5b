"""The live view on a real pseudo-terminal."""

from __future__ import annotations

import functools
import io
import os
import re
import select
import shutil
import subprocess
import sys
import threading
import time
from typing import IO, TYPE_CHECKING, cast

import pyte
import pytest
from msgspec.structs import replace

from rt_cli.events import Errored, Event, Final, Partial, Progress, SourceOpened
from rt_cli.output.status.live import REDRAW_S, LiveStatus, Screen
from rt_cli.output.status.view import View
from tests.program import ROOT

if sys.platform == "win32":
    pytest.skip("no pseudo-terminals here", allow_module_level=True)

import fcntl
import struct
import termios

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import TextIO

DEADLINE_S = 10.0


def on_screen(output: str, columns: int = 1000) -> list[str]:
    """Return the final content of a large terminal, without trailing blanks."""
    screen = pyte.Screen(columns, 100)
    pyte.Stream(screen).feed(output)
    return shown(screen)


def shown(screen: pyte.Screen) -> list[str]:
    """Return the rows without trailing blanks."""
    return "\n".join(row.rstrip() for row in screen.display).rstrip().split("\n")


@pytest.fixture
def terminal() -> Iterator[tuple[io.FileIO, TextIO]]:
    """A pseudo-terminal of 80 columns: the user's side, and the program's side."""
    person, program = os.openpty()
    fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with io.FileIO(person, "r+") as screen_side, os.fdopen(program, "w") as stream:
        yield screen_side, stream


def as_written(seen: bytes) -> str:
    """Return the text of the bytes."""
    return seen.decode(errors="replace")


def read_some(screen_side: io.FileIO) -> bytes:
    """Return the next output, within the deadline."""
    ready, _, _ = select.select([screen_side], [], [], DEADLINE_S)
    assert ready, "the program says nothing"
    return screen_side.read(65536) or b""


def read_to_the_end(screen_side: io.FileIO) -> bytes:
    """Return all output until the program closed its side."""
    seen = b""
    while True:
        try:
            part = read_some(screen_side)
        except OSError:  # Linux raises this when the last writer has closed
            break
        if not part:
            break
        seen += part
    return seen


_PROGRAM = """
import os, sys
from rt_cli.events import *
from rt_cli.output.output import make_output
from rt_cli.settings import OutputSettings
from tests.summaries import summary_of

def progress(ms):
    return Progress(ms, ms, 0, 0, -20.0, -10.0, 5.0, "ready")

status = (sys.argv[2:] or ["auto"])[0]
output = make_output(OutputSettings(format=sys.argv[1], partials=True, status=status), many_sources=False,
    on_stdout_closed=lambda: None, stdout=sys.stdout, stderr=sys.stderr, environ=os.environ)
see = output.on_event
see(SourceOpened("speech.wav", "file", 44100, 2, 24000, 10000))
see(SessionChanged("ready", "ws://127.0.0.1:1/v1", "openai", "whisper-1", 24000))
for turn in range(1, 6):
    for word in range(20):
        see(progress(turn * 1000 + word * 50))
        see(Partial(turn, "so far " * word))
    if turn == 3:
        see(Warned("silent", "nothing to hear"))
        sys.stdin.readline()
        see(progress(4000))
        sys.stdin.readline()
    see(Final(turn, f"this was turn {turn}"))
see(Errored("dns", "it broke", "mend it"))
ledger = Ledger(240000, 240000, 0, 0, 0, 0, 0)
see(summary_of("speech.wav", 0, complete=True, rate_hz=24000, ledger=ledger, finals=5, reconnects=0, wall_ms=1000))
sys.exit(0 if output.close(10) else 9)
"""


class Run:
    """The program on a terminal: the output on the terminal, and on stdout if that is a pipe."""

    def __init__(
        self,
        terminal: tuple[io.FileIO, TextIO],
        *,
        pipe: bool,
        output: str = "text",
        narrow: bool = False,
        **environ: str,
    ) -> None:
        screen_side, stream = terminal
        self._eyes = screen_side
        self._seen = b""
        environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
        program = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, output, "live" if pipe else "auto"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if pipe else stream,
            stderr=stream,
            env=environment | {"TERM": "xterm-256color"} | environ,
        )
        with program:
            assert program.stdin is not None
            self._read_until("nothing to hear")
            if narrow:
                fcntl.ioctl(stream, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
            before = len(self._seen)
            program.stdin.write(b"\n")
            program.stdin.flush()
            self.before_resize = as_written(self._seen)
            self._read_until("4.0 s", before)
            self._read_until("\x1b[?2026l", self._seen.index(b"4.0 s", before))
            self.after_resize = as_written(self._seen[before:])
            program.stdin.write(b"\n")
            program.stdin.flush()
            stream.close()
            self._seen += read_to_the_end(screen_side)
            self.printed = b"" if program.stdout is None else program.stdout.read()
            program.wait(DEADLINE_S)
        assert program.returncode == 0

    @property
    def raw(self) -> str:
        """All output on the terminal."""
        return as_written(self._seen)

    @property
    def left(self) -> list[str]:
        """The final content of the terminal."""
        return on_screen(self.raw)

    def _read_until(self, words: str, start: int = 0) -> None:
        while words.encode() not in self._seen[start:]:
            self._seen += read_some(self._eyes)


FINALS = [f"this was turn {turn}" for turn in range(1, 6)]
SUMMARY = "done: speech.wav: 10.0 s heard, 5 turns, 1.0 s"


def test_on_one_terminal_results_stand_above_the_view(terminal: tuple[io.FileIO, TextIO]) -> None:
    """At the end the terminal has the finals in order, the warning, the error and the summary; no torn line."""
    run = Run(terminal, pipe=False)

    expected = [*FINALS[:2], "warning: nothing to hear", *FINALS[2:], "rt: it broke: mend it", SUMMARY]
    assert run.left == expected


def test_the_view_is_drawn_during_the_run(terminal: tuple[io.FileIO, TextIO]) -> None:
    """Source, state, marks and partial are drawn in colour."""
    run = Run(terminal, pipe=False)

    for fact in ("speech.wav (file)", "ready", "ws://127.0.0.1:1/v1", "so far so far", "captured 4.0 s", "\x1b[32m"):
        assert fact in run.raw.replace("\x1b[1;32m", "\x1b[32m")


def test_json_lines_are_not_wrapped_by_us(terminal: tuple[io.FileIO, TextIO]) -> None:
    """The terminal wraps a long line itself, so that a copy of the line is complete."""
    run = Run(terminal, pipe=False, output="json")

    lines = [line for line in run.left if line.startswith("{")]
    assert lines[-1].startswith('{"type":"summary","source":"speech.wav"')
    assert re.search(r'"wall_ms":1000,"at":"[0-9T:.-]+Z"}$', lines[-1])


def test_a_piped_stdout_gets_the_finals_and_nothing_else(terminal: tuple[io.FileIO, TextIO]) -> None:
    """The finals arrive unchanged on stdout, and the view on stderr shows none of them."""
    run = Run(terminal, pipe=True)

    assert run.printed.decode().splitlines() == FINALS
    assert run.left == ["warning: nothing to hear", "rt: it broke: mend it", SUMMARY]


def test_no_color_is_respected(terminal: tuple[io.FileIO, TextIO]) -> None:
    """With NO_COLOR the view has no colours."""
    run = Run(terminal, pipe=True, NO_COLOR="1")

    assert "speech.wav" in run.raw
    assert not re.search(r"\x1b\[[0-9;]*\b(3[0-7]|9[0-7])m", run.raw)


@pytest.mark.parametrize("environ", [{"CI": "true"}, {"TERM": "dumb"}, {"FORCE_COLOR": "1", "TERM": "dumb"}], ids=str)
def test_no_live_view_in_ci_or_on_a_dumb_terminal(terminal: tuple[io.FileIO, TextIO], environ: dict[str, str]) -> None:
    """Only plain lines without escape sequences are printed."""
    screen_side, stream = terminal
    program = _PROGRAM.replace("sys.stdin.readline()", "None")
    done = subprocess.Popen(
        [sys.executable, "-c", program, "text"],
        stdout=subprocess.DEVNULL,
        stderr=stream,
        env=dict(os.environ) | {"TERM": "xterm"} | environ,
    )
    stream.close()
    seen = as_written(read_to_the_end(screen_side))

    assert done.wait(DEADLINE_S) == 0
    assert "ready: openai, whisper-1" in seen
    assert "\x1b" not in re.sub(r"\x1b\[[0-9;]*m", "", seen), "colours alone move no cursor"


def test_the_cursor_is_never_left_hidden(terminal: tuple[io.FileIO, TextIO]) -> None:
    """The cursor is hidden only within one write, so a killed program leaves a usable terminal."""
    raw = Run(terminal, pipe=True).raw

    assert raw.count("\x1b[?25l") == raw.count("\x1b[?25h") > 1
    assert all("\x1b[?25h" in frame for frame in raw.split("\x1b[?25l")[1:])
    assert raw.rindex("\x1b[?7h") > raw.rindex("\x1b[?7l")


def test_a_frame_is_one_write() -> None:
    """One write has the frame and the lines above it, so that nothing flickers."""
    writes: list[str] = []
    file = io.StringIO()
    file.write = lambda text: writes.extend(text and [text]) or 0  # type: ignore[method-assign, func-returns-value]
    screen = Screen(file, color=True)
    screen.draw(VIEW, ["a final", "and another"])
    screen.draw(VIEW, [])

    assert len(writes) == 2
    assert "a final\nand another\n" in writes[0]
    assert all(write.startswith("\x1b[?2026h") and write.endswith("\x1b[?2026l") for write in writes)


def test_a_narrowed_terminal_is_drawn_narrow(terminal: tuple[io.FileIO, TextIO]) -> None:
    """The next frame fits and replaces the old one, also on a terminal that cuts long lines."""
    run = Run(terminal, pipe=True, narrow=True)
    screen = pyte.Screen(80, 24)
    stream = pyte.Stream(screen)
    stream.feed(run.before_resize)
    screen.resize(24, 40)
    stream.feed(run.after_resize)
    rows = shown(screen)

    assert rows[0] == "warning: nothing to hear"
    assert [number for number, row in enumerate(rows) if row.startswith("* ")] == [1]
    assert len(rows) == 7
    stream.feed(run.raw[len(run.before_resize) + len(run.after_resize) :])
    assert "".join(shown(screen)) == f"warning: nothing to hearrt: it broke: mend it{SUMMARY}"


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux not installed")
def test_a_terminal_that_rewraps_keeps_its_lines(tmp_path: Path) -> None:
    """A terminal that rewraps old lines when it becomes narrow shows no stale frame and all finals."""
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM)
    tmux = functools.partial(_tmux, tmp_path / "socket")
    tmux(
        *("-f", os.devnull, "new-session", "-d", "-x", "90", "-y", "24"),
        f"stty -echo; seq 30; env -u CI -u NO_COLOR PYTHONPATH={ROOT} {sys.executable} {program} text; exec cat",
    )
    try:
        _await(tmux, "nothing to hear", "so far so far")
        tmux("resize-window", "-x", "40", "-y", "20")
        tmux("send-keys", "Enter")
        rows = _await(tmux, "4.0 s")
        assert len([row for row in rows if row.startswith("* ")]) == 1, rows
        assert len([row for row in rows if "dBFS" in row]) == 1, rows
        assert rows[30:33] == [*FINALS[:2], "warning: nothing to hear"]
        tmux("resize-window", "-x", "100", "-y", "10")
        tmux("send-keys", "Enter")
        rows = _await(tmux, SUMMARY)
        assert rows[30:] == [*FINALS[:2], "warning: nothing to hear", *FINALS[2:], "rt: it broke: mend it", SUMMARY]
    finally:
        tmux("kill-server")


def _tmux(socket: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["tmux", "-S", str(socket), *arguments], check=True, capture_output=True, text=True, timeout=DEADLINE_S
    )
    return done.stdout


def _await(tmux: Callable[..., str], *words: str) -> list[str]:
    """Return all rows, including scrolled ones, with wrapped rows joined, as soon as they have the words."""
    until = time.monotonic() + DEADLINE_S
    while True:
        rows = [row.rstrip() for row in tmux("capture-pane", "-p", "-J", "-S", "-").rstrip().splitlines()]
        if all(any(word in row for row in rows) for word in words):
            return rows
        assert time.monotonic() < until, rows
        time.sleep(0.05)  # tmux sends no notification


VIEW = View(
    source="recordings/speech.wav",
    kind="file",
    duration_ms=60_000,
    endpoint="ws://127.0.0.1:1/v1/realtime",
    model="whisper-1",
    state="ready",
    captured_ms=20_000,
    acknowledged_ms=20_000,
    turn=3,
    text="and so on " * 20,
    keys="m mute  q end",
)
TEXTS = {
    "long": "and so on " * 200,
    "wide": "これは日本語の長い文章です" * 20,
    "emoji": "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER}\N{ROCKET}" * 40,
    "right to left": "זהו משפט ארוך מאוד " * 20,
    "combining": "e\N{COMBINING ACUTE ACCENT}" * 200,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("columns", [1, 7, 20, 39, 40, 80, 200])
@pytest.mark.parametrize("height", [1, 3, 24])
def test_every_terminal_shows_one_whole_frame(height: int, columns: int, text: str) -> None:
    """For any size and text: finals above, one view below, and no trace of the view at the end."""
    file = SizedFile(columns, height)
    drawing = Screen(cast("IO[str]", file), color=True)
    screen = pyte.HistoryScreen(columns, height, history=1000)
    stream = pyte.Stream(screen)
    view = replace(VIEW, source=f"recordings/{text[:60]}.wav", text=text)
    for number in range(4):
        drawing.draw(view, [f"f{number}"])
        drawing.draw(replace(view, captured_ms=30_000), [])
    stream.feed(file.taken())
    rows = [row.rstrip() for row in screen.display]

    assert len([row for row in rows if row.startswith("* "[:columns])]) == 1 or columns == 1
    assert screen.cursor.x == 0
    drawing.stop()
    stream.feed(file.taken())
    gone = ["".join(line[x].data for x in range(columns)).rstrip() for line in screen.history.top]
    left = [row.rstrip() for row in screen.display]
    finals = [row for row in (*gone, *left) if row]
    assert "".join(finals) == "f0f1f2f3"


class SizedFile(io.StringIO):
    """A terminal with a size."""

    def __init__(self, columns: int, height: int) -> None:
        super().__init__()
        self._person, self._program = os.openpty()
        fcntl.ioctl(self._program, termios.TIOCSWINSZ, struct.pack("HHHH", height, columns, 0, 0))

    def fileno(self) -> int:
        """Descriptor for the size."""
        return self._program

    def taken(self) -> str:
        """Return the new output, with CR LF line ends as on a terminal."""
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        return text.replace("\n", "\r\n")

    def close(self) -> None:
        """Close the pseudo-terminal, too."""
        if not self.closed:
            os.close(self._person)
            os.close(self._program)
        super().close()


def test_a_resize_alone_causes_a_redraw(terminal: tuple[io.FileIO, TextIO]) -> None:
    """A stalled run redraws its view after a resize."""
    screen_side, stream = terminal
    status = LiveStatus(stream, on_unprinted=lambda _line, _written: None)
    status.on_event(progress(1_000))
    seen = b""
    while b"captured 1.0 s" not in seen:
        seen += read_some(screen_side)
    fcntl.ioctl(stream, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    while b"  1.0 s / 1.0 s" not in seen:
        seen += read_some(screen_side)
    thread, _ = drained(screen_side)
    assert status.close(DEADLINE_S)
    stream.close()
    thread.join(DEADLINE_S)


def test_a_stopped_program_leaves_no_view(terminal: tuple[io.FileIO, TextIO]) -> None:
    """Ctrl-Z erases it, nothing is drawn until ``fg``, and then it is drawn anew, with what happened meanwhile."""
    screen_side, stream = terminal
    status = LiveStatus(stream, on_unprinted=lambda _line, _written: None)
    seen = b""
    for round_ in (1, 2):
        status.on_event(progress(round_ * 1_000))
        while f"captured {round_}.0 s".encode() not in seen:
            seen += read_some(screen_side)
        status.leave_terminal()
        while select.select([screen_side], [], [], 0)[0]:
            seen += read_some(screen_side)
        assert on_screen(as_written(seen), 80) == [""]
        status.on_event(progress(round_ * 1_000 + 500))
        assert not select.select([screen_side], [], [], 3 * REDRAW_S)[0]
        status.enter_terminal()
        while f"captured {round_}.5 s".encode() not in seen:
            seen += read_some(screen_side)
    end(status, terminal)


def test_leaving_a_terminal_that_takes_nothing(terminal: tuple[io.FileIO, TextIO]) -> None:
    """Ctrl-S, then Ctrl-Z: the signal handler does not wait for the terminal."""
    screen_side, stream = terminal
    status = LiveStatus(stream, on_unprinted=lambda _line, _written: None)
    status.on_event(progress(1_000))
    read_some(screen_side)
    termios.tcflow(stream.fileno(), termios.TCOOFF)
    began = time.monotonic()
    status.leave_terminal()
    assert time.monotonic() - began < 2
    termios.tcflow(stream.fileno(), termios.TCOON)
    end(status, terminal)


def test_leaving_the_terminal_within_an_event(
    terminal: tuple[io.FileIO, TextIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal handler runs at any moment of its thread, also where that holds the lock of the view."""
    now, waits = time.monotonic, []

    def signalled_now() -> float:
        if not waits and threading.current_thread() is threading.main_thread():  # asked for the time under the lock
            waits.append(now())
            status.leave_terminal()
            waits.append(now())
            status.enter_terminal()
        return now()

    status = LiveStatus(terminal[1], on_unprinted=lambda _line, _written: None)
    monkeypatch.setattr(time, "monotonic", signalled_now)
    status.on_event(progress(1_000))
    monkeypatch.undo()
    began, ended = waits
    assert ended - began < 2
    end(status, terminal)


def end(status: LiveStatus, terminal: tuple[io.FileIO, TextIO]) -> None:
    """Close the view, and read the terminal to its end."""
    screen_side, stream = terminal
    thread, _ = drained(screen_side)
    assert status.close(DEADLINE_S)
    stream.close()
    thread.join(DEADLINE_S)


def test_a_run_that_fails_at_once_draws_nothing(terminal: tuple[io.FileIO, TextIO]) -> None:
    """The error is printed without a view, and without importing Rich."""
    screen_side, stream = terminal
    program = (
        "import sys; from rt_cli.output.status.live import LiveStatus; from rt_cli.events import Errored;"
        "status = LiveStatus(sys.stderr, on_unprinted=lambda _line, _written: None);"
        "status.on_event(Errored('dns', 'no host'));"
        "sys.exit('rich' in sys.modules if status.close(5) else 9)"
    )
    done = subprocess.Popen([sys.executable, "-c", program], stderr=stream)
    stream.close()

    assert on_screen(as_written(read_to_the_end(screen_side))) == ["rt: no host"]
    assert done.wait(DEADLINE_S) == 0


def drained(screen_side: io.FileIO) -> tuple[threading.Thread, list[str]]:
    """Read a terminal from a thread, until the program's end is closed."""
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.append(as_written(read_to_the_end(screen_side))), daemon=True)
    thread.start()
    return thread, seen


def progress(ms: int) -> Progress:
    """Progress with everything acknowledged."""
    return Progress(ms, ms, 0, 0, -20.0, -10.0, 5.0, "ready")


def test_at_most_ten_redraws_a_second(terminal: tuple[io.FileIO, TextIO]) -> None:
    """The limit holds for any number of events, and the last one is drawn."""
    screen_side, stream = terminal
    thread, seen = drained(screen_side)
    status = LiveStatus(stream, on_unprinted=lambda _line, _written: None)
    started = time.monotonic()
    status.on_event(SourceOpened("speech.wav", "file", 44_100, 2, 24_000, None))
    count = 0
    while time.monotonic() - started < 0.6:
        count += 1
        status.on_event(progress(count))
        time.sleep(0.0005)
    status.on_event(progress(777_000))
    status.say("the end")
    assert status.close(DEADLINE_S)
    took_s = time.monotonic() - started
    stream.close()
    thread.join(DEADLINE_S)

    assert count > 100
    assert seen[0].count("speech.wav") <= took_s * 10 + 3  # the first at once, the last two at the end
    assert "12:57" in seen[0]


def test_an_unchanged_view_is_drawn_once(terminal: tuple[io.FileIO, TextIO]) -> None:
    """The same event again causes no redraw."""
    screen_side, stream = terminal
    thread, seen = drained(screen_side)
    status = LiveStatus(stream, on_unprinted=lambda _line, _written: None)
    started = time.monotonic()
    while time.monotonic() - started < 0.6:
        status.on_event(Progress(1_000, 1_000, 0, 0, -96.0, -96.0, None, "ready"))
        time.sleep(0.01)
    assert status.close(DEADLINE_S)
    stream.close()
    thread.join(DEADLINE_S)

    # Perhaps empty before the first event.
    assert seen[0].count("captured") <= 2


def test_a_stopped_terminal_is_not_felt(terminal: tuple[io.FileIO, TextIO]) -> None:
    """With Ctrl-S nobody reads the terminal: on_event() returns at once; only close() gives up."""
    screen_side, stream = terminal
    status = LiveStatus(stream, on_unprinted=lambda _line, _written: None)
    slowest_s = 0.0
    for number in range(3_000):
        started = time.monotonic()
        status.on_event(Partial(1, "word " * number))
        status.say("x" * 100)
        slowest_s = max(slowest_s, time.monotonic() - started)

    assert slowest_s < 1  # the machine may be busy
    assert not status.close(0.1)
    thread, _ = drained(screen_side)
    assert status.close(DEADLINE_S)
    stream.close()
    thread.join(DEADLINE_S)


def test_results_go_to_on_unprinted_after_a_hang_up(terminal: tuple[io.FileIO, TextIO]) -> None:
    """The status is silent; waiting and later results go to ``on_unprinted`` in order."""
    screen_side, stream = terminal
    screen_side.close()
    unprinted: list[str] = []
    status = LiveStatus(stream, on_unprinted=lambda line, _written: unprinted.append(line))
    status.result("one")
    status.say("a note")
    status.result("two")
    assert status.close(DEADLINE_S)
    status.on_event(Errored("x", "y"))
    status.result("three")

    assert unprinted == ["one", "two", "three"]


@pytest.mark.parametrize(
    "event", [Final(1, "x"), progress(1), Errored("x", "y")], ids=lambda value: type(value).__name__
)
def test_after_the_end_nothing_is_drawn(terminal: tuple[io.FileIO, TextIO], event: Event) -> None:
    """A late event has no effect."""
    screen_side, stream = terminal
    thread, seen = drained(screen_side)
    status = LiveStatus(stream, on_unprinted=lambda _line, _written: None)
    assert status.close(DEADLINE_S)
    status.on_event(event)
    assert status.close(DEADLINE_S)
    stream.close()
    thread.join(DEADLINE_S)

    assert on_screen(seen[0]) == [""]


def test_a_redraw_is_cheap() -> None:
    """The time is far below the 50 ms that would be noticeable on the event loop; the median here is below 1 ms."""
    screen = Screen(io.StringIO(), color=True)
    view = View(source="speech.wav", kind="file", duration_ms=1_000, turn=1, text="word " * 100)
    screen.draw(view, [])
    durations = []
    for _ in range(50):
        started = time.perf_counter()
        screen.draw(view, [])
        durations.append(time.perf_counter() - started)
    screen.stop()

    assert sorted(durations)[25] < 0.02
