"""A peer that stops reading after the handshake. It uses no library, whose own queue would read on."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.bench.measure import SINK_ARGUMENTS, environment, rt_command, write_wav

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RATE_HZ = 24_000
WINDOW = 2 * RATE_HZ
"""Samples; nothing is known of the round trip, as no ping was answered."""
CHUNK = RATE_HZ
"""The largest there is where the window is small."""
STALLED_S = 3.0
WATCH_S = 0.5
DEAD_S = 8.0
CLOSE_S = 1.0
SLACK_S = 1.0
"""For a busy machine."""
DEADLINE_S = 30.0
KERNELS = {"roomy kernel": None, "tight kernel": 4096}
"""How many bytes each takes on the peer's behalf; None is the system's own number."""
_ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class StalledPeer:
    """Greets, takes the configuration, and never reads again.

    Args:
        receive_buffer: Bytes that the kernel takes on its behalf; None for the system's own.
    """

    def __init__(self, receive_buffer: int | None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        if receive_buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listener.settimeout(DEADLINE_S)
        self._connection: socket.socket | None = None
        self.url = f"ws://127.0.0.1:{self._listener.getsockname()[1]}/v1/realtime"
        self._thread = threading.Thread(target=self._greet, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close the sockets."""
        self._thread.join(DEADLINE_S)
        self._listener.close()
        if self._connection is not None:
            self._connection.close()

    def _greet(self) -> None:
        self._connection, _ = self._listener.accept()
        self._connection.settimeout(DEADLINE_S)
        request = b""
        while b"\r\n\r\n" not in request:
            request += self._connection.recv(4096)
        key = re.search(rb"(?i)sec-websocket-key: *(\S+)", request)
        assert key is not None
        accept = base64.b64encode(hashlib.sha1(key[1] + _ACCEPT, usedforsecurity=False).digest())
        self._connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        self._say({"type": "session.created", "session": {"id": "sess_1"}})
        self._connection.recv(4096)
        self._say({"type": "session.updated", "session": {}})

    def _say(self, event: dict[str, Any]) -> None:
        assert self._connection is not None
        payload = json.dumps(event).encode()
        self._connection.sendall(bytes((0x81, len(payload))) + payload)


class StalledRun:
    """``rt send`` against a stalled peer; its lines with the second of their arrival."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[tuple[float, dict[str, Any]]] = []

    def until(self, state: str) -> float:
        """Read to the line with this state; return its time."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append((time.monotonic(), json.loads(line)))
            if self.lines[-1][1].get("state") == state:
                return self.lines[-1][0]
        pytest.fail(f"never {state}: {self.lines}")

    def end(self) -> float:
        """Read to the end; return its time."""
        assert self.process.stdout is not None
        self.lines += [(time.monotonic(), json.loads(line)) for line in self.process.stdout]
        self.process.wait(DEADLINE_S)
        return time.monotonic()

    @property
    def summary(self) -> dict[str, Any]:
        """The last line."""
        return self.lines[-1][1]


@contextmanager
def stalled_run(folder: Path, receive_buffer: int | None) -> Iterator[StalledRun]:
    """Send a minute of audio at full speed to a peer that does not read; without a second connection."""
    wav = write_wav(folder / "minute.wav", seconds=60)
    peer = StalledPeer(receive_buffer)
    delivery = ("--speed", "max", "--retry-for", "0", "--log-file", str(folder / "log"))
    command = rt_command("send", str(wav), "--url", peer.url, *delivery, *SINK_ARGUMENTS)
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(), text=True) as process:
        deadline = threading.Timer(DEADLINE_S, process.kill)
        deadline.start()
        try:
            yield StalledRun(process)
        finally:
            deadline.cancel()
            process.kill()
            peer.close()


@dataclass(frozen=True)
class Outcome:
    """The result of a run that was interrupted once after its stall."""

    stalled_after_s: float
    ended_after_s: float
    summary: dict[str, Any]
    log: str


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """With each receive buffer, at the same time: the runs take long."""
    with ThreadPoolExecutor() as pool:
        runs = {
            kernel: pool.submit(_interrupted, tmp_path_factory.mktemp("stalled"), buffer)
            for kernel, buffer in KERNELS.items()
        }
    return {kernel: run.result() for kernel, run in runs.items()}


@pytest.fixture(params=KERNELS)
def interrupted(request: pytest.FixtureRequest, outcomes: dict[str, Outcome]) -> Outcome:
    """With one receive buffer."""
    return outcomes[request.param]


def _interrupted(folder: Path, receive_buffer: int | None) -> Outcome:
    """Stall, then one Ctrl-C, then wait for the end."""
    with stalled_run(folder, receive_buffer) as run:
        ready = run.until("ready")
        stalled = run.until("stalled")
        run.process.send_signal(signal.SIGINT)
        ended = run.end()
        log = (folder / "log").read_text(encoding="utf-8")
        return Outcome(stalled - ready, ended - stalled, run.summary, log)


def test_in_flight_stays_in_the_window(interrupted: Outcome) -> None:
    """Unacknowledged audio is never more than the window and a chunk."""
    ledger = interrupted.summary["ledger"]

    assert 0 < ledger["in_flight"] <= WINDOW + CHUNK


def test_in_flight_was_never_beyond_the_window(interrupted: Outcome) -> None:
    """At any moment: no more was sent in total, as the log of the lane shows."""
    sent = [int(samples) for samples in re.findall(r"(\d+) samples sent", interrupted.log)]

    print(f"in flight at most {max(sent)} samples, window {WINDOW}")
    assert 0 < max(sent) <= WINDOW + CHUNK


def test_closed_window_is_in_the_log(interrupted: Outcome) -> None:
    """The log shows a sender that waits."""
    assert re.search(r"connection 1: window closed, \d+ samples in flight", interrupted.log)


def test_stall_is_said_in_time(interrupted: Outcome) -> None:
    """Three seconds without progress, and the next check."""
    print(f"stalled said after {interrupted.stalled_after_s:.2f} s")
    assert STALLED_S - 0.1 <= interrupted.stalled_after_s <= STALLED_S + WATCH_S + SLACK_S


def test_first_interrupt_ends_when_the_peer_is_dead(interrupted: Outcome) -> None:
    """The wait for finals ends with the peer: no sign of life for eight seconds, and a second for the close."""
    left_s = DEAD_S - STALLED_S + WATCH_S + CLOSE_S

    print(f"left {interrupted.ended_after_s:.2f} s after the interrupt")
    assert interrupted.ended_after_s <= left_s + SLACK_S


def test_ledger_balances_after_a_stall(interrupted: Outcome) -> None:
    """Each captured sample is counted, and none is settled."""
    ledger = interrupted.summary["ledger"]
    parts = ("settled", "acknowledged", "in_flight", "waiting", "dropped")

    assert ledger["captured"] == sum(ledger[part] for part in parts)
    assert ledger["settled"] == 0


def test_dead_peer_is_the_cause(interrupted: Outcome) -> None:
    """The lost connection is the error, not the Ctrl-C."""
    assert interrupted.summary["exit"] == 5


@pytest.mark.parametrize("receive_buffer", KERNELS.values(), ids=KERNELS.keys())
def test_second_interrupt_ends_within_a_second(receive_buffer: int | None, tmp_path: Path) -> None:
    """The run closes at once, whatever the peer does, and still writes the summary."""
    with stalled_run(tmp_path, receive_buffer) as run:
        run.until("stalled")
        run.process.send_signal(signal.SIGINT)
        time.sleep(0.3)  # two signals within a quarter of a second are one
        second = time.monotonic()
        run.process.send_signal(signal.SIGINT)
        took_s = run.end() - second

        print(f"second interrupt: {took_s:.2f} s")
        assert took_s <= CLOSE_S + SLACK_S
        assert run.summary["type"] == "summary"
        assert run.process.returncode == 130
