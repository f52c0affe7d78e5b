"""All outputs together, over real pipes."""

from __future__ import annotations

import io
import json
import os
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from rt_cli.errors import UsageError
from rt_cli.events import Errored, Final, Ledger, Partial, Progress, SourceOpened, Warned
from rt_cli.masking import protect
from rt_cli.output.output import make_output
from rt_cli.settings import OutputSettings
from tests.summaries import summary_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rt_cli.output.output import Output

DEADLINE_S = 5.0
OPENED = SourceOpened("a.wav", "file", 44_100, 2, 24_000, 13_700)
SUMMARY = summary_of(
    "a.wav", 0, complete=True, rate_hz=24_000, ledger=Ledger(0, 0, 0, 0, 0, 0, 0), finals=1, reconnects=0, wall_ms=1_500
)


class Streams:
    """Two pipes instead of stdout and stderr."""

    def __init__(self, stack: ExitStack) -> None:
        out_read, out_write = os.pipe()
        err_read, err_write = os.pipe()
        self.stdout = stack.enter_context(os.fdopen(out_write, "w"))
        self.stderr = stack.enter_context(os.fdopen(err_write, "w"))
        self.out = stack.enter_context(io.FileIO(out_read))
        self.err = stack.enter_context(io.FileIO(err_read))
        self.closed = threading.Event()

    def output(self, settings: OutputSettings, **changes: Any) -> Output:
        """Create an output over the pipes."""
        arguments: dict[str, Any] = {
            "many_sources": False,
            "on_stdout_closed": self.closed.set,
            "stdout": self.stdout,
            "stderr": self.stderr,
            "environ": {},
        }
        return make_output(settings, **(arguments | changes))

    def read(self) -> tuple[list[str], list[str]]:
        """Return the lines on stdout and stderr; closes both."""
        self.stdout.close()
        self.stderr.close()
        return tuple((end.readall() or b"").decode().splitlines() for end in (self.out, self.err))  # type: ignore[return-value]  # two of them


@pytest.fixture
def streams() -> Iterator[Streams]:
    """Fresh pipes."""
    with ExitStack() as stack:
        yield Streams(stack)


def test_results_and_status_do_not_mix(streams: Streams) -> None:
    """Finals go to stdout; source, partial and summary go to stderr."""
    output = streams.output(OutputSettings(partials=True, status="plain"))
    for event in (OPENED, Partial(1, "hel"), Final(1, "hello"), SUMMARY):
        output.on_event(event)
    assert output.close(DEADLINE_S)
    out, err = streams.read()

    assert out == ["hello"]
    assert [line.split(":")[0] for line in err] == ["source", "turn 1", "done"]


def test_json_prints_partials_on_stdout_only(streams: Streams) -> None:
    """With --json, partials are on stdout and not on stderr."""
    output = streams.output(OutputSettings(format="json", partials=True, status="off"), many_sources=True)
    on_event = output.place("a.wav").handler()
    for event in (Partial(1, "hel"), Final(1, "hello"), SUMMARY):
        on_event(event)
    assert output.close(DEADLINE_S)
    out, err = streams.read()

    assert [(line["type"], line["source"]) for line in map(json.loads, out)] == [
        ("partial", "a.wav"),
        ("final", "a.wav"),
        ("summary", "a.wav"),
    ]
    assert err == []


@pytest.mark.parametrize(
    "settings",
    [OutputSettings(), OutputSettings(quiet=True), OutputSettings(status="off"), OutputSettings(format="json")],
    ids=["text", "quiet", "off", "json"],
)
def test_a_failing_run_has_one_rt_line(streams: Streams, settings: OutputSettings) -> None:
    """A failing run prints exactly one ``rt:`` line at every level."""
    output = streams.output(settings)
    for event in (
        OPENED,
        Progress(0, 0, 0, 0, -96.0, -96.0, None, "connecting"),
        Errored("dns", "no host", "check it"),
        SUMMARY,
    ):
        output.on_event(event)
    assert output.close(DEADLINE_S)
    _, err = streams.read()

    assert [line for line in err if line.startswith("rt:")] == ["rt: no host: check it"]


def test_a_blocked_stderr_does_not_delay_the_results(streams: Streams) -> None:
    """The pipe of stderr is full: results are written, and close() returns within the status limit."""
    output = streams.output(OutputSettings(verbose=True, partials=True))
    for number in range(2_000):
        output.on_event(Partial(1, f"{number:0100}"))
    output.on_event(Final(1, "hello"))
    started = time.monotonic()

    assert output.close(0.2)
    assert time.monotonic() - started < 2.5
    streams.stdout.close()
    assert streams.out.readall() == b"hello\n"
    # The writer's thread is still blocked on stderr; reading unblocks it.
    streams.err.close()


def test_results_continue_after_stderr_breaks(streams: Streams) -> None:
    """The results continue, and nothing is raised or reported."""
    streams.err.close()
    output = streams.output(OutputSettings())
    for event in (OPENED, Final(1, "hello"), Errored("x", "y"), SUMMARY):
        output.on_event(event)

    assert output.close(DEADLINE_S)
    assert streams.out.read(100) == b"hello\n"
    assert not streams.closed.is_set()


def test_a_closed_stdout_calls_on_stdout_closed(streams: Streams) -> None:
    """The callback is called, and the closed stdout is not a failure."""
    streams.out.close()
    output = streams.output(OutputSettings(quiet=True))
    output.on_event(Final(1, "hello"))

    assert streams.closed.wait(DEADLINE_S)
    assert output.close(DEADLINE_S)
    assert output.failure is None


def test_close_returns_false_if_results_remain(streams: Streams) -> None:
    """A deadline that passes with results waiting is reported to the caller."""
    output = streams.output(OutputSettings(quiet=True))
    output.on_event(Final(1, "x" * 1_000_000))

    assert not output.close(0.1)
    streams.out.close()
    assert output.close(DEADLINE_S)


def test_without_any_stream(streams: Streams) -> None:
    """``>&- 2>&-``: stdout counts as closed, a missing stderr is ignored."""
    output = streams.output(OutputSettings(), stdout=None, stderr=None)
    output.on_event(Errored("x", "y"))
    output.on_event(Final(1, "hello"))

    assert streams.closed.wait(DEADLINE_S)
    assert output.close(DEADLINE_S)


def test_an_unwritable_log_file_leaves_no_thread_behind(streams: Streams, tmp_path: Path) -> None:
    """The error is raised before the run, and all started threads end."""
    before = threading.active_count()
    with pytest.raises(UsageError):
        streams.output(OutputSettings(log_file=str(tmp_path)))

    assert threading.active_count() == before


def test_a_flood_of_warnings_is_a_few_lines() -> None:
    """On stderr and in NDJSON: the first, counts, and the total before the summary."""
    with ExitStack() as stack:
        streams = Streams(stack)
        output = streams.output(OutputSettings(format="json"))
        handle = output.place("a.wav").handler()
        for _ in range(25_000):
            handle(Warned("odd", "the endpoint says: no"))
        handle(SUMMARY)
        assert output.close(DEADLINE_S)
        out, err = streams.read()
    lines = [json.loads(line) for line in out]
    counts = ["", *(f" ({count} times so far)" for count in (10, 100, 1000, 10_000)), " (25000 times in all)"]
    messages = [f"the endpoint says: no{count}" for count in counts]
    assert [line["message"] for line in lines[:-1]] == messages
    assert {(line["type"], line["code"]) for line in lines[:-1]} == {("warning", "odd")}
    assert lines[-1]["type"] == "summary"
    assert [line.removeprefix("warning: ") for line in err if line.startswith("warning: ")] == messages


def test_secrets_are_masked_in_every_event() -> None:
    """Also if control characters stand in them, which no terminal shows."""
    secret = "of-this-test-only-0815"
    protect([secret])
    with ExitStack() as stack:
        streams = Streams(stack)
        output = streams.output(OutputSettings(format="json"))
        handle = output.place(f"{secret}.wav").handler()
        handle(Warned(f"c{secret}", f"m {secret}"))
        handle(Final(1, f"said {secret}", language=f"{secret[:5]}\x1b[31m{secret[5:]}"))
        handle(Errored(secret, secret, secret))
        handle(SUMMARY)
        assert output.close(DEADLINE_S)
        out, err = streams.read()
    assert secret not in "".join(out + err).replace("\\u001b[31m", "")
    assert next(json.loads(line)["text"] for line in out if '"final"' in line) == "said ***"
