"""``rt send`` against ``rt serve --fault``: two programs, and deliberate faults between them."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.program import DATA, Ran, assert_accounted, ended, rt, start

if TYPE_CHECKING:
    from collections.abc import Iterator

SPEECH = DATA / "sense_0870.wav"
SAMPLES = 170_400
"""Samples of the file at 24 kHz."""


@contextmanager
def faulty_endpoint(*specs: str) -> Iterator[tuple[str, list[str]]]:
    """A running endpoint: its URL, and after the block its reported faults."""
    options = [option for spec in specs for option in ("--fault", spec)]
    faults: list[str] = []
    with start("serve", "--port", "0", "--recognizer", "none", "--json", *options) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"], faults
        finally:
            process.terminate()
            events = [json.loads(line) for line in ended(process).out.splitlines()]
            faults += [event["fault"] for event in events if event["type"] == "fault"]


def send(*specs: str, options: tuple[str, ...] = ()) -> tuple[Ran, list[str]]:
    """Send a file of seven seconds; return the run and the reported faults."""
    with faulty_endpoint(*specs) as (url, faults):
        ran = rt("send", "--url", url, "--json", "--speed", "4", "-m", "gpt-4o-transcribe", *options, str(SPEECH))
    assert_accounted(ran.summary)
    return ran, faults


@pytest.mark.parametrize(
    ("spec", "reconnects"),
    [
        ("drop@1sx1", 1),
        ("drop=fin@audio2sx2", 2),
        ("close=1012:restart@audio2sx1", 1),
        ("stall@audio2s/500ms", 0),
        ("garbage@audio1s", 0),
    ],
)
def test_everything_is_delivered(spec: str, reconnects: int) -> None:
    """Every sample is settled, over as many connections as needed, and the endpoint reports its faults."""
    ran, faults = send(spec)

    assert (ran.exit, ran.summary["complete"]) == (0, True), ran.err
    assert ran.summary["ledger"]["settled"] == ran.summary["ledger"]["captured"] == SAMPLES
    assert ran.summary["reconnects"] == reconnects
    assert faults == [spec] * max(reconnects, 1)


@pytest.mark.parametrize(
    ("spec", "exit_code", "sessions"),
    [
        ("quota", 4, 1),
        ("status=401", 4, 1),
        ("close=4000:invalid_request_error.invalid_model", 6, 4),
        ("omit=session.created", 6, 1),
    ],
)
def test_permanent_fault_ends_the_run(spec: str, exit_code: int, sessions: int) -> None:
    """With one line and without a retry; a refused model may mean another session, each is asked for once."""
    ran, faults = send(spec, options=("--connect-timeout", "5"))

    assert ran.exit == exit_code, ran.err
    assert len(ran.causes) == 1
    assert ran.summary["reconnects"] == 0
    assert faults == [spec] * sessions


def test_a_failed_transcript_is_a_hole() -> None:
    """Exit 7; no other turn is lost."""
    ran, faults = send("failedx1")

    assert ran.exit == 7, ran.err
    assert faults == ["failedx1"]
    assert ran.summary["ledger"]["captured"] == SAMPLES


def test_invalid_fault() -> None:
    """One line that quotes the error, and exit 2."""
    ran = rt("serve", "--port", "0", "--fault", "drop@3s", "--fault", "drop@soon")

    assert (ran.exit, ran.out) == (2, "")
    (cause,) = ran.causes
    assert "'@soon' is no moment" in cause
