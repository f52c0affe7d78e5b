"""Ctrl-C and SIGTERM: the first stops capture and drains, the second closes, the third exits at once."""

from __future__ import annotations

import os
import random
import shlex
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import pytest

from tests.program import DATA, ROOT, RT, Ran, assert_accounted, ended, needs_words, noise, start, write_wav
from tests.servers import (
    Client,
    Script,
    Server,
    never_answers,
    never_transcribes,
    polite,
    scripted,
    silent,
    stops_reading,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPEECH = str(DATA / "sense_0870.wav")
SECOND = noise(24_000)
MODEL = ("-m", "gpt-4o-transcribe", "--json")
MARGIN_S = 1.5
"""Time for a process to be scheduled and to end, on a busy machine."""
APART_S = 0.3
"""Signals closer together are one intention."""
INTERRUPTED = {130, 143, -signal.SIGINT, -signal.SIGTERM}
"""Exit by the signal itself, while the interpreter ends. Shells report it as 130 and 143, too."""
BOTH = [pytest.param(signal.SIGINT, id="SIGINT"), pytest.param(signal.SIGTERM, id="SIGTERM")]


@contextmanager
def live(server: Server, *more: str, seconds: int = 1) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``rt stream -`` with some sound; the writer stays."""
    command = ("stream", "--url", server.url, *MODEL, *more, "-")
    with start(*command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        _feed(process.stdin, seconds)
        try:
            yield process
        finally:
            process.kill()


def _feed(pipe: IO[bytes], seconds: int) -> None:
    pipe.write(SECOND * seconds)
    pipe.flush()


def still_open(process: subprocess.Popen[bytes], seconds: float = 10) -> tuple[Ran, float]:
    """Return the exit of a process whose stdin stays open, and its duration."""
    began = time.monotonic()
    process.wait(seconds)
    took = time.monotonic() - began
    return ended(process), took


@pytest.mark.parametrize("number", BOTH)
def test_first_signal_on_a_live_source(number: signal.Signals) -> None:
    """Capture stops, received sound is committed, its final is printed: success."""
    with scripted(polite("hello")) as server, live(server) as process:
        server.wait_for("input_audio_buffer.append")
        process.send_signal(number)
        ran, _ = still_open(process)
    assert ran.exit == 0, ran.err
    assert [final["text"] for final in ran.of("final")] == ["hello"]
    assert server.kinds()[-1] == "input_audio_buffer.commit"
    assert ran.summary["complete"]
    assert_accounted(ran.summary)


@pytest.mark.parametrize("number", BOTH)
def test_two_signals_of_one_moment_on_a_live_source(number: signal.Signals) -> None:
    """As ``timeout 5 rt stream --mic`` sends them, to the process and to its group: nothing is lost."""
    with scripted(polite("hello")) as server, live(server) as process:
        server.wait_for("input_audio_buffer.append")
        process.send_signal(number)
        time.sleep(0.02)  # the system merges two equal signals that wait
        process.send_signal(number)
        ran, _ = still_open(process)
    assert ran.exit == 0, ran.err
    assert [final["text"] for final in ran.of("final")] == ["hello"]
    assert ran.summary["complete"]


@pytest.mark.parametrize(
    ("number", "exit_code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)],
    ids=["INT", "TERM", "HUP"],
)
def test_first_signal_on_a_file(number: signal.Signals, exit_code: int) -> None:
    """An interrupted file is an interruption; the finals of the sent part are printed and counted."""
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("whoever runs the tests ignores it, and so do its children")
    with scripted(polite("hello")) as server:
        process = start("send", "--url", server.url, *MODEL, "--speed", "1", SPEECH)
        server.wait_for("input_audio_buffer.append", 5)
        process.send_signal(number)
        ran = ended(process, seconds=10)
    assert ran.exit == ran.summary["exit"] == exit_code, ran.err
    assert [final["text"] for final in ran.of("final")] == ["hello"]
    assert_accounted(ran.summary)
    assert not ran.summary["complete"]
    assert 500 <= ran.summary["captured_ms"] < 7000
    assert ran.summary["ledger"]["settled"] == ran.summary["ledger"]["captured"] == len(server.audio) // 2


def test_ignored_hangup(tmp_path: Path) -> None:
    """``nohup rt ...`` goes on when the terminal is closed."""
    sound = write_wav(tmp_path / "sound.wav", noise(48_000))
    with scripted(polite("hello")) as server:
        command = shlex.join([*RT, "send", "--url", server.url, *MODEL, "--speed", "1", "--json", str(sound)])
        process = subprocess.Popen(
            ["sh", "-c", f"trap '' HUP; exec {command}"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        server.wait_for("input_audio_buffer.append", 3)
        process.send_signal(signal.SIGHUP)
        ran = ended(process, seconds=15)
    assert (ran.exit, ran.summary["complete"]) == (0, True), ran.err


def test_signal_skips_the_files_that_follow() -> None:
    """Ctrl-C ends the whole run, and not only the current file."""
    with scripted(polite("hello")) as server:
        process = start("send", "--url", server.url, *MODEL, "--speed", "1", SPEECH, SPEECH)
        server.wait_for("input_audio_buffer.append")
        process.send_signal(signal.SIGINT)
        ran = ended(process, seconds=10)
    assert ran.exit == 130
    assert ran.summary["type"] == "total"
    assert ran.summary["sources"] == len(ran.of("summary")) == server.clients == 1


@pytest.mark.parametrize(
    ("script", "when"),
    [
        pytest.param(never_transcribes, "input_audio_buffer.commit", id="no final"),
        pytest.param(never_answers, "input_audio_buffer.commit", id="no answer to the commit"),
        pytest.param(stops_reading, None, id="stopped reading"),
    ],
)
def test_second_signal(script: Script, when: str | None) -> None:
    """The run does not wait for the endpoint any longer; it still prints the summary."""
    seconds = 1 if when else 30
    with scripted(script) as server, live(server, "--drain-timeout", "60", seconds=seconds) as process:
        server.wait_for("input_audio_buffer.append")
        process.send_signal(signal.SIGINT)
        if when:
            server.wait_for(when)
        time.sleep(APART_S)
        process.send_signal(signal.SIGTERM)
        ran, took = still_open(process)
    assert took < 1 + MARGIN_S
    assert ran.exit == 143, ran.err
    assert ran.summary["type"] == "summary"
    assert_accounted(ran.summary)
    assert "Traceback" not in ran.err


async def hears_and_never_finishes(client: Client) -> None:
    """An endpoint with a partial for each commit, and no final."""
    await client.greet()
    while True:
        await client.until("input_audio_buffer.commit")
        item = await client.commit()
        await client.say(
            "conversation.item.input_audio_transcription.delta", item_id=item, content_index=0, delta="he might have"
        )


@pytest.mark.parametrize("quiet", [False, True])
def test_second_signal_prints_unconfirmed_words(*, quiet: bool) -> None:
    """The partial that stood on the screen is on stderr, once, and on stdout only as what it is."""
    options = ("--partials", *(("-q",) if quiet else ()))
    with scripted(hears_and_never_finishes) as server, live(server, "--drain-timeout", "60", *options) as process:
        server.wait_for("input_audio_buffer.append")
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        while b'"partial"' not in (line := process.stdout.readline()):
            assert line
        time.sleep(APART_S)
        process.send_signal(signal.SIGINT)
        ran, _ = still_open(process)
    assert ran.exit == 130, ran.err
    assert [line for line in ran.err.splitlines() if "he might have" in line] == (
        [] if quiet else ["unconfirmed: he might have"]
    )
    assert ran.of("final") == []


def test_second_signal_while_connecting() -> None:
    """Without an open connection the run ends at once."""
    with silent() as server, live(server, "-v", "--connect-timeout", "60") as process:
        assert process.stderr is not None
        while b"connecting" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        time.sleep(APART_S)
        process.send_signal(signal.SIGTERM)
        ran, took = still_open(process)
    assert took < 1 + MARGIN_S
    assert ran.exit == 143
    assert_accounted(ran.summary)


def test_third_signal() -> None:
    """The process ends at once."""
    with scripted(stops_reading) as server, live(server, "--drain-timeout", "60", seconds=30) as process:
        server.wait_for("input_audio_buffer.append")
        began = time.monotonic()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            process.send_signal(number)
            time.sleep(APART_S)
        ran, _ = still_open(process)
    assert time.monotonic() - began < 3 * APART_S + MARGIN_S
    assert ran.exit in INTERRUPTED
    assert "Traceback" not in ran.err


@needs_words
def test_terminal_interrupts_only_rt() -> None:
    """Ctrl-C reaches the whole process group; the recogniser must survive it for the last finals."""
    process = start(
        "send", "--local", "--json", "--partials", "--speed", "2", "--drain-timeout", "60", SPEECH, session=True
    )
    assert process.stdout is not None
    while b'"partial"' not in (line := process.stdout.readline()):
        assert line, ended(process).err
    os.killpg(process.pid, signal.SIGINT)
    ran = ended(process)
    assert ran.exit == 130, ran.err
    assert ran.of("final")[0]["text"]
    assert_accounted(ran.summary)


def _at_a_random_moment(seed: int) -> None:
    """Send one to three signals, some time after the first output of a run."""
    chance = random.Random(seed)
    script = chance.choice([polite("hello"), never_answers, stops_reading])
    signals = [chance.choice([signal.SIGINT, signal.SIGTERM]) for _ in range(chance.choice([1, 1, 2, 2, 3]))]
    with scripted(script) as server:
        process = start("send", "-v", "--url", server.url, *MODEL, "--drain-timeout", "1", "--speed", "4", SPEECH)
        assert process.stderr is not None
        process.stderr.readline()
        for number in signals:
            time.sleep(chance.uniform(APART_S, 1))
            process.send_signal(number)
        began = time.monotonic()
        ran = ended(process, seconds=15)
    limit = {1: 12.0, 2: 1 + MARGIN_S, 3: MARGIN_S}[len(signals)]
    assert time.monotonic() - began < limit, f"seed {seed}"
    assert ran.exit in {0, 5, 7, *INTERRUPTED}, f"seed {seed}: {ran.err}"
    assert "Traceback" not in ran.err, f"seed {seed}: {ran.err}"
    assert "unexpected" not in ran.err, f"seed {seed}: {ran.err}"
    if len(signals) < 3:
        assert ran.summary["type"] == "summary", f"seed {seed}"
        assert_accounted(ran.summary)


@pytest.mark.parametrize(
    "seeds", [pytest.param(range(20), id="20"), pytest.param(range(20, 120), id="100", marks=pytest.mark.long)]
)
def test_signals_at_random_moments(seeds: range) -> None:
    """At any moment: a correct exit code, in time, with a balanced ledger."""
    with ThreadPoolExecutor(4) as several:
        list(several.map(_at_a_random_moment, seeds))


EARLY = """
import signal, sys
from rt_cli.__main__ import main
from rt_cli.cli.signals import Signals

install = Signals.install

def install_and_receive(signals):
    install(signals)
    signal.raise_signal(signal.SIGTERM)

Signals.install = install_and_receive
sys.argv = ["rt", *sys.argv[1:]]
sys.exit(main())
"""


@pytest.mark.parametrize("sources", [1, 3])
def test_signal_before_the_source_is_opened(sources: int) -> None:
    """A run that is interrupted before its first source still prints its summary, or total."""
    command = [sys.executable, "-c", EARLY, "send", "--url", "ws://127.0.0.1:9", "--json", *([SPEECH] * sources)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        ran = ended(process)
    assert (ran.exit, ran.causes) == (143, [])
    assert (ran.summary["type"], ran.summary["exit"]) == ("summary" if sources == 1 else "total", 143)


HANGING = """
import socket, sys, threading
from rt_cli.__main__ import main

socket.getaddrinfo = lambda *_args, **_kwargs: threading.Event().wait(60)
sys.argv = ["rt", *sys.argv[1:]]
sys.exit(main())
"""


def test_dns_query_does_not_delay_the_end() -> None:
    """A DNS query in a thread cannot be stopped; the program ends without it."""
    url = "wss://speech.example/v1"
    command = [sys.executable, "-c", HANGING, "send", "--url", url, "--connect-timeout", "0.5", "--json", SPEECH]
    began = time.monotonic()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        ran = ended(process)
    assert (ran.exit, ran.summary["exit"]) == (5, 5)
    assert time.monotonic() - began < 0.5 + 2 * MARGIN_S


async def overloaded(client: Client) -> None:
    """An endpoint that takes some sound and then asks for a delay."""
    await client.greet()
    await client.until("input_audio_buffer.append")
    await client.close(1013, "try again later")


def test_first_signal_during_backoff() -> None:
    """The endpoint asked for five seconds; after Ctrl-C the run waits only for the drain timeout."""
    with scripted(overloaded) as server, live(server, "--drain-timeout", "0.5") as process:
        assert process.stdout is not None
        while b'"lost"' not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        ran, took = still_open(process)
    assert ran.exit == 5
    assert took < 0.5 + 2 * MARGIN_S
    assert_accounted(ran.summary)
