"""``rt stream --ptt`` as a program: signals, a FIFO, and conflicting options."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.exact import speech
from tests.listening import Live
from tests.program import DEADLINE_S, Ran, assert_accounted, rt, served, start
from tests.servers import Server, polite, scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RATE = 24_000
MODEL = ("-m", "gpt-4o-transcribe", "--json")
SOUND = speech(0, 8 * RATE // 2)


def second(number: int) -> bytes:
    """Return one second of sound."""
    return SOUND[number * RATE * 2 : (number + 1) * RATE * 2]


class Talk:
    """A run that gets sound second by second, and its push-to-talk events."""

    def __init__(self, server: Server, process: subprocess.Popen[bytes]) -> None:
        self.server = server
        self.process = process
        self.live = Live(process)
        self._fed = 0
        self.changes = 0

    def feed(self) -> None:
        """Write one more second."""
        assert self.process.stdin is not None
        self.process.stdin.write(second(self._fed))
        self.process.stdin.flush()
        self._fed += 1

    def changed(self) -> dict[str, Any]:
        """Return the next change."""
        self.changes += 1

        def told() -> list[dict[str, Any]]:
            events = [json.loads(line) for line in self.live.lines]
            return [event for event in events if event["type"] == "control"]

        self.live.until(lambda _event: len(told()) >= self.changes)
        return told()[self.changes - 1]

    def heard(self, more: int) -> None:
        """Wait until the endpoint has this many more bytes of sound."""
        wanted = len(self.server.audio) + more
        with self.server.news:
            assert self.server.news.wait_for(lambda: len(self.server.audio) >= wanted, DEADLINE_S)

    def ended(self) -> Ran:
        """Wait for the end of the run."""
        self.process.wait(DEADLINE_S)
        self.live.join()
        return Ran(self.process.returncode, "".join(self.live.lines), self.live.err.decode())


@contextmanager
def talking(server: Server, *options: str) -> Iterator[Talk]:
    """A run that ends with the block."""
    with start("stream", "--url", server.url, *MODEL, *options, "-", stdin=subprocess.PIPE) as process:
        talk = Talk(server, process)
        try:
            yield talk
        finally:
            process.kill()
            talk.live.join()


def talk_twice(talk: Talk, begin: Callable[[], None], stop: Callable[[], None]) -> bytes:
    """Make two turns with a second in between; return the expected positions."""
    first = talk.changed()
    assert first == {"type": "control", "at_ms": 0, "muted": False, "talking": False, "at": first["at"]}
    wanted, closed = b"", 0
    for _ in range(2):
        talk.feed()
        begin()
        began = talk.changed()
        talk.feed()
        talk.heard(RATE)
        stop()
        stopped = talk.changed()
        assert (began["talking"], stopped["talking"]) == (True, False)
        opened = max(closed, began["at_ms"] - 300)
        closed = max(opened, stopped["at_ms"]) + 200
        wanted += SOUND[opened * 48 : closed * 48]
    talk.feed()
    talk.server.wait_for("input_audio_buffer.commit", 2)
    return wanted


def assert_sent(server: Server, wanted: bytes) -> None:
    """Positions in milliseconds are rounded down: each of the four edges may differ by one."""
    audio = server.audio
    assert abs(len(audio) - len(wanted)) <= 4 * 48
    pairs = {audio[at : at + 4] for at in range(0, len(audio) - 3, 4)}
    expected = {wanted[at : at + 4] for at in range(0, len(wanted) - 3, 4)}
    assert len(pairs ^ expected) <= 4 * 24
    kinds = [kind for kind in server.kinds() if kind.startswith("input")]
    assert kinds == ["input_audio_buffer.append", "input_audio_buffer.commit"] * 2


def test_by_signals() -> None:
    """SIGUSR1 and SIGUSR2: each turn is committed, and nothing else is sent."""
    with scripted(polite("one", "two")) as server, talking(server, "--ptt") as talk:
        wanted = talk_twice(
            talk,
            lambda: talk.process.send_signal(signal.SIGUSR1),
            lambda: talk.process.send_signal(signal.SIGUSR2),
        )
        ran = talk.live.interrupt()
    assert (ran.exit, ran.summary["complete"]) == (0, True), ran.err
    assert [final["text"] for final in ran.of("final")] == ["one", "two"]
    assert_sent(server, wanted)
    assert ran.summary["sent_ms"] + ran.summary["gated_ms"] == pytest.approx(ran.summary["captured_ms"], abs=2)
    assert_accounted(ran.summary)
    session = next(event for event in server.received if event["type"] == "session.update")["session"]
    assert session["audio"]["input"]["turn_detection"] is None


def test_by_a_fifo(tmp_path: Path) -> None:
    """The FIFO is private, accepts any writer, and is removed at the end; ``quit`` works like Ctrl-C."""
    fifo = tmp_path / "talk"
    with scripted(polite("one", "two")) as server, talking(server, "--ptt-fifo", str(fifo)) as talk:

        def say(line: str) -> Callable[[], None]:
            return lambda: fifo.write_text(f"{line}\n") and None

        wanted = talk_twice(talk, say("start"), say(" TOGGLE "))
        assert stat.S_ISFIFO(fifo.stat().st_mode)
        assert stat.S_IMODE(fifo.stat().st_mode) == 0o600
        fifo.write_text("\nspeak up\nquit\n")
        ran = talk.ended()
    assert (ran.exit, ran.summary["complete"]) == (0, True), ran.err
    assert_sent(server, wanted)
    (warning,) = [event for event in ran.of("warning") if event["code"] == "unknown_command"]
    assert warning["message"] == "'speak up' is no command: there are start, stop, toggle, mute, quit"
    assert not fifo.exists()


def test_existing_fifo_stays(tmp_path: Path) -> None:
    """Lines written before the run count, too."""
    fifo = tmp_path / "talk"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_text, args=("quit\n",))
    writer.start()
    with scripted(polite("one")) as server, talking(server, "--ptt-fifo", str(fifo)) as talk:
        ran = talk.ended()
    writer.join(10)
    assert ran.exit == 0, ran.err
    assert (ran.summary["sent_ms"], ran.summary["finals"]) == (0, 0)
    assert fifo.exists()


def test_an_early_command_is_for_both_channels(tmp_path: Path) -> None:
    """A command before the session reaches both channels."""
    fifo = tmp_path / "talk"
    os.mkfifo(fifo)
    writer = os.open(fifo, os.O_RDWR)
    os.write(writer, b"start\n")
    with served("--recognizer", "none") as (url, _):
        ran = rt(
            *("stream", "--url", url, "--json", "--channels", "2", "--channel", "split", "--ptt-fifo", str(fifo), "-"),
            stdin=SOUND,
        )
    os.close(writer)
    assert ran.exit == 0, ran.err
    assert [summary["gated_ms"] for summary in ran.of("summary")] == [0, 0]
    assert [summary["sent_ms"] for summary in ran.of("summary")] == [len(SOUND) // 4 * 1000 // RATE] * 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(("--ptt", "--gate"), "both --ptt and --gate say what is sent: give one of them", id="gate"),
        pytest.param(
            ("--ptt", "--turn-detection", "server_vad"),
            "--ptt makes the turns, not server_vad: leave out --turn-detection",
            id="turns",
        ),
        pytest.param(
            ("--ptt", "--spool", "DIR"),
            "--spool keeps on disk what --ptt is not to send: give one of them",
            id="spool",
        ),
        pytest.param(
            ("--max-cost", "1"),
            "--max-cost without a price: set price_per_minute, in the config file or RT_PRICE_PER_MINUTE",
            id="no price",
        ),
        pytest.param(
            ("--ptt-fifo", "README.md"), "README.md is there, and no FIFO: give another --ptt-fifo", id="no FIFO"
        ),
        pytest.param(
            ("--ptt-fifo", "nowhere/talk"),
            "cannot make the FIFO nowhere/talk: No such file or directory: give another --ptt-fifo",
            id="no folder",
        ),
    ],
)
def test_conflicting_options(options: tuple[str, ...], said: str) -> None:
    """One line with a fix, before anything is opened."""
    ran = rt("stream", "--url", "ws://127.0.0.1:9", *options, "-", stdin=b"")
    assert ran.exit == 2
    assert ran.causes == [f"rt: {said}"]


def test_the_cost_of_a_live_source() -> None:
    """With a price in the environment, the cost limit ends the run with its finals, success and a warning."""
    with scripted(polite("one")) as server:
        ran = rt(
            *("stream", "--url", server.url, *MODEL, "--max-cost", "0.02", "--encoding", "s16le", "-"),
            stdin=SOUND,
            env={"RT_PRICE_PER_MINUTE": "0.6", "RT_CURRENCY": "EUR"},
        )
    assert (ran.exit, ran.summary["complete"]) == (0, True), ran.err
    assert ran.summary["cost"] == {"amount": 0.02, "currency": "EUR"}
    assert ran.summary["sent_ms"] == pytest.approx(2000, abs=1)
    assert len(server.audio) == pytest.approx(2 * RATE * 2, abs=2)
    assert ran.warning_codes == ["max_cost"]
