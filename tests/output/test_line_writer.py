"""A slow or closed reader, or a full disk, must not block or fail the caller of write()."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_cli.output.line_writer import DROPPABLE_BYTES, DROPPABLE_LIMIT, Backlog, LineWriter

if TYPE_CHECKING:
    from collections.abc import Iterator

    Pipe = tuple[TextIO, io.FileIO]

DEADLINE_S = 5.0


def ignore() -> None:
    """Do nothing when a stream breaks."""


def read_all(writer: LineWriter, pipe: Pipe) -> bytes:
    """Close the writer, while its reader reads; return what it got."""
    stream, reader = pipe
    received: list[bytes | None] = []
    thread = threading.Thread(target=lambda: received.append(reader.readall()))
    thread.start()
    assert writer.close(DEADLINE_S)
    stream.close()
    thread.join(DEADLINE_S)
    return received[0] or b""


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A real pipe: the end to write to, and the end to read from."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream, io.FileIO(reader) as source:
        yield stream, source


def test_lines_arrive_in_order(pipe: Pipe) -> None:
    """Each line ends with a line feed, and the order is kept."""
    stream, reader = pipe
    writer = LineWriter(stream, on_broken=ignore)
    for line in ("one", "two", "three"):
        writer.write(line)

    assert writer.close(DEADLINE_S)
    assert reader.read(100) == b"one\ntwo\nthree\n"


def test_each_line_is_flushed(pipe: Pipe) -> None:
    """The reader gets a line before the next one is written."""
    stream, reader = pipe
    writer = LineWriter(stream, on_broken=ignore)
    writer.write("now")

    assert reader.read(100) == b"now\n"
    assert writer.close(DEADLINE_S)


def test_output_is_utf8_in_every_locale(tmp_path: Path) -> None:
    """A C locale does not change the bytes; a lone surrogate is written as an escape."""
    path = tmp_path / "out"
    with path.open("w", encoding="ascii") as stream:
        writer = LineWriter(stream, on_broken=ignore)
        writer.write("Füße \udce9")
        assert writer.close(DEADLINE_S)

    assert path.read_bytes() == "Füße \\udce9\n".encode()


def test_a_slow_reader_is_not_felt(pipe: Pipe) -> None:
    """A megabyte of lines is queued at once without a reader; a late reader gets all of it."""
    stream, _ = pipe
    writer = LineWriter(stream, on_broken=ignore)
    started = time.monotonic()
    for number in range(10_000):
        writer.write(f"{number:0100}")
    took_s = time.monotonic() - started

    received = read_all(writer, pipe)
    assert took_s < 4
    assert received.split() == [f"{number:0100}".encode() for number in range(10_000)]


def test_droppable_lines_are_dropped_while_many_wait(pipe: Pipe) -> None:
    """Partials have a limit, results have none."""
    stream, _ = pipe
    writer = LineWriter(stream, on_broken=ignore)
    for number in range(DROPPABLE_LIMIT * 3):
        writer.write(f"p{number:0100}", droppable=True)
    for number in range(DROPPABLE_LIMIT * 2):
        writer.write(f"r{number}")

    received = read_all(writer, pipe)
    lines = received.split()
    # The buffer of the pipe (64 KiB on Linux) has taken some more lines.
    assert DROPPABLE_LIMIT <= sum(line.startswith(b"p") for line in lines) < DROPPABLE_LIMIT * 2
    assert sum(line.startswith(b"r") for line in lines) == DROPPABLE_LIMIT * 2


def test_large_droppable_lines_are_dropped_by_their_size(pipe: Pipe) -> None:
    """Partials of a megabyte each: a few wait, not a thousand."""
    stream, reader = pipe
    writer = LineWriter(stream, on_broken=ignore)
    tracemalloc.start()
    try:
        for number in range(500):
            writer.write(f"p{number:01000000}", droppable=True)
        assert tracemalloc.get_traced_memory()[0] < DROPPABLE_BYTES + 4_000_000
    finally:
        tracemalloc.stop()
    reader.close()
    assert writer.close(DEADLINE_S)


def test_a_stuck_status_keeps_a_bounded_backlog(pipe: Pipe) -> None:
    """Lines beyond the limit are left out and counted; what is needed is kept."""
    stream, _ = pipe
    writer = LineWriter(stream, on_broken=ignore, limit_bytes=1_000_000)
    for number in range(100_000):
        writer.write(f"line {number:0100}")
    writer.write("rt: the end", needed=True)

    received = read_all(writer, pipe)
    lines = received.decode().splitlines()
    missing = [int(line.split()[1]) for line in lines if line.startswith("... ")]
    assert "rt: the end" in lines
    assert missing
    assert sum(line.startswith("line") for line in lines) + sum(missing) == 100_000
    assert sum(map(len, lines)) < 2_000_000


@given(st.lists(st.tuples(st.integers(0, 400_000), st.booleans(), st.booleans())))
def test_backlog_is_bounded(lines: list[tuple[int, bool, bool]]) -> None:
    """Whatever comes, only needed lines pass the limit, and none is forgotten."""
    backlog, waiting, missing, size = Backlog(1_000_000), [], 0, 0
    for length, droppable, needed in lines:
        line = "x" * length
        if backlog.takes(line, droppable=droppable, needed=needed):
            assert needed or size < 1_000_000
            waiting.append(line)
            size += sys.getsizeof(line)
        else:
            missing += not droppable or size < DROPPABLE_BYTES
    note = backlog.take_note()
    assert (note is None) == (missing == 0)
    assert note is None or f" {missing} lines" in note
    for line in waiting:
        backlog.release(line)
    assert backlog.takes("x", droppable=True)


def test_close_gives_up_at_its_deadline(pipe: Pipe) -> None:
    """A reader that never reads does not keep the process alive."""
    stream, reader = pipe
    writer = LineWriter(stream, on_broken=ignore)
    writer.write("x" * 1_000_000)

    assert not writer.close(0.05)
    reader.close()  # unblocks the thread
    assert writer.close(DEADLINE_S)


def test_on_broken_is_called_once_when_the_reader_closes(pipe: Pipe) -> None:
    """The first line after the close calls ``on_broken``; later lines are discarded, and ``failure`` is None."""
    stream, reader = pipe
    reader.close()
    told = threading.Semaphore(0)
    writer = LineWriter(stream, on_broken=told.release)
    writer.write("one")
    assert told.acquire(timeout=DEADLINE_S)
    for _ in range(100):
        writer.write("more")

    assert writer.close(DEADLINE_S)
    assert not told.acquire(blocking=False)
    assert writer.broken
    assert writer.failure is None


def test_lines_without_a_reader_are_lost(pipe: Pipe) -> None:
    """The line that fails, those that wait behind it, and all later ones call ``on_lost``, and not ``on_written``."""
    stream, reader = pipe
    calls: list[str] = []
    writer = LineWriter(stream, on_broken=ignore)
    writer.write("read", on_written=lambda: calls.append("read"), on_lost=lambda: calls.append("read, lost"))
    assert writer.flush(DEADLINE_S)
    reader.close()
    for name in ("first", "second"):
        writer.write(name, on_written=lambda: calls.append("written"), on_lost=lambda name=name: calls.append(name))
    assert writer.flush(DEADLINE_S)
    writer.write("third", on_written=lambda: calls.append("written"), on_lost=lambda: calls.append("third"))

    assert calls == ["read", "first", "second", "third"]
    assert writer.close(DEADLINE_S)


def test_a_reader_that_is_given_up_loses_what_it_has_not_read(pipe: Pipe) -> None:
    """Also the line that is being written."""
    stream, _reader = pipe
    lost: list[str] = []
    writer = LineWriter(stream, on_broken=ignore)
    for name in ("long", "short"):
        writer.write(name * 100_000, on_lost=lambda name=name: lost.append(name))
    assert not writer.flush(0.1)
    writer.give_up()

    assert lost == ["long", "short"]


def test_a_missing_stdout_counts_as_closed_by_the_reader() -> None:
    """``>&-`` leaves no stream at all."""
    told = threading.Event()
    writer = LineWriter(None, on_broken=told.set)
    writer.write("one")

    assert told.wait(DEADLINE_S)
    assert writer.close(DEADLINE_S)
    assert writer.failure is None


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals here")
def test_a_terminal_hang_up_counts_as_closed_by_the_reader() -> None:
    """A closed terminal window is not a failure."""
    person, program = os.openpty()
    told = threading.Event()
    with os.fdopen(program, "w") as stream:
        writer = LineWriter(stream, on_broken=told.set)
        os.close(person)
        writer.write("one")
        assert told.wait(DEADLINE_S)
        assert writer.close(DEADLINE_S)

    assert writer.failure is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_a_failure() -> None:
    """``on_broken`` is called, and ``failure`` has the cause."""
    told = threading.Event()
    with Path("/dev/full").open("w") as stream:
        writer = LineWriter(stream, on_broken=told.set)
        writer.write("one")
        assert told.wait(DEADLINE_S)
        assert writer.close(DEADLINE_S)

    assert writer.failure is not None
    assert writer.failure.errno == errno.ENOSPC


def test_a_closed_event_loop_causes_no_traceback(pipe: Pipe) -> None:
    """``call_soon_threadsafe`` of a closed loop raises; the thread ends without a traceback."""
    stream, reader = pipe
    reader.close()

    def closed_loop() -> None:
        raise RuntimeError("Event loop is closed")

    writer = LineWriter(stream, on_broken=closed_loop)
    writer.write("one")

    assert writer.close(DEADLINE_S)


def test_a_nonblocking_pipe_is_waited_for(pipe: Pipe) -> None:
    """Another program may have made the shared descriptor non-blocking; no line is lost."""
    stream, _ = pipe
    os.set_blocking(stream.fileno(), False)
    writer = LineWriter(stream, on_broken=ignore)
    writer.write("x" * 1_000_000)

    received = read_all(writer, pipe)
    assert received == b"x" * 1_000_000 + b"\n"


_PROGRAM = """
import sys, threading
from rt_cli.output.line_writer import LineWriter
gone = threading.Event()
writer = LineWriter(sys.stdout, on_broken=gone.set)
while not gone.is_set():
    writer.write("line")
    gone.wait(0.001)
print("printed by somebody else")
sys.exit(0 if writer.close(5) else 9)
"""


def test_head_ends_the_program_quietly() -> None:
    """``| head -1``: exit 0, nothing on stderr, not even from the interpreter's own flush at exit."""
    program = subprocess.Popen([sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with program:
        assert program.stdout is not None
        assert program.stderr is not None
        assert program.stdout.readline().strip() == b"line"
        program.stdout.close()
        errors = program.stderr.read()
        program.wait(DEADLINE_S)

    assert (program.returncode, errors) == (0, b"")


_HELD_UP = """
import sys
from rt_cli.output.line_writer import LineWriter
writer = LineWriter(sys.stdout, on_broken=lambda: None)
writer.write("x" * 1_000_000)
sys.exit(0 if not writer.close(0.1) else 9)
"""


def test_exit_does_not_wait_for_a_reader_that_never_reads() -> None:
    """The interpreter exits while the writer's thread is still blocked, and prints nothing."""
    program = subprocess.Popen([sys.executable, "-c", _HELD_UP], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with program:
        assert program.stderr is not None
        program.wait(DEADLINE_S)
        errors = program.stderr.read()

    assert (program.returncode, errors) == (0, b"")


@given(st.lists(st.text(st.characters(exclude_characters="\n")), max_size=20))
@settings(max_examples=30, deadline=None)
def test_all_lines_arrive_unchanged(lines: list[str]) -> None:
    """The bytes at the reader are the bytes of the lines, one line each."""
    read_end, write_end = os.pipe()
    with io.FileIO(read_end) as reader:
        with os.fdopen(write_end, "w") as stream:
            writer = LineWriter(stream, on_broken=ignore)
            for line in lines:
                writer.write(line)
            assert writer.close(DEADLINE_S)
        received = reader.readall()

    assert received == "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")
