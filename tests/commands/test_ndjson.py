"""``--json 2>/dev/null | a parser``: each line is an object with a type, whatever fails.

pytest -s -m "long or not long" tests/commands/test_ndjson.py            # how many lines
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.program import DATA, DEADLINE_S, ROOT, RT, ended, start, write_wav

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from _pytest.mark import ParameterSet

SPEECH = str(DATA / "sense_0930.wav")
SEND = ("send", "-m", "gpt-4o-transcribe", "--speed", "4", "--drain-timeout", "1", "--retry-for", "3", "--partials")
NOWHERE = ("--url", "ws://127.0.0.1:9", "--retry-for", "0.1", "--connect-timeout", "1")

FAULTS = [
    "status=401",
    "status=503",
    "status=429x1",
    "handshake=300ms",
    "drop@1sx1",
    "drop@500ms",
    "close=1001@1sx1",
    "close=1013",
    "expire=1s",
    "quota",
    "error=server_error@1s",
    "error=invalid_api_key",
    "garbage@1s",
    "garbage=json@1s",
    "garbage=binary@1s",
    "stall@1s/500ms",
    "mute@turn1",
    "delay=10ms..50ms",
    "slow=64kB",
    "omit=session.updated",
    "omit=completed",
    "dup=completed",
    "reorder=completed",
    "corrupt=committed",
    "failed",
    "reject=session.update",
]
ALONE = {
    "missing file": (*SEND, *NOWHERE, "missing.wav"),
    "unreachable": (*SEND, *NOWHERE, SPEECH),
    "several, one of them missing": (*SEND, *NOWHERE, SPEECH, "missing.wav"),
    "no sound": (*SEND, *NOWHERE, "README.md"),
    "usage": ("send", "--speed", "never", SPEECH),
    "nobody feeds it": ("stream", *NOWHERE, "-"),
    "devices": ("devices",),
    "doctor": ("doctor", "--no-mic", "--url", "ws://127.0.0.1:9"),
}
QUICK = {
    "status=401",
    "drop@1sx1",
    "garbage@1s",
    "quota",
    "omit=completed",
    "failed",
    "usage",
    "missing file",
    "doctor",
}
"""The other faults run with the long tests."""


def each(names: Iterable[str]) -> list[ParameterSet]:
    """Return parameters; the slow ones have the ``long`` mark."""
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in names]


def parsed(*command: str) -> list[dict[str, Any]]:
    """Return the NDJSON lines of a run."""
    done = subprocess.run(
        [*RT, *command, "--json"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.stdout == b"" or done.stdout.endswith(b"\n")
    lines = [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]
    print(f"{len(lines)} lines parsed, 0 failed, exit {done.returncode}")
    assert all(isinstance(line, dict) and isinstance(line.get("type"), str) for line in lines)
    if done.returncode != 2 and command[0] in ("send", "stream"):
        last = lines[-1]
        assert last["type"] in ("summary", "total")
        assert last["exit"] == done.returncode
    return lines


@pytest.mark.parametrize("fault", each(FAULTS))
def test_a_fault(fault: str) -> None:
    """Both programs write valid NDJSON with every fault between them."""
    with start("serve", "--port", "0", "--recognizer", "none", "--json", "--fault", fault) as process:
        assert process.stdout is not None
        try:
            url = json.loads(process.stdout.readline())["url"]
            lines = parsed(*SEND, "--url", url, SPEECH)
        finally:
            process.terminate()
            served = ended(process).events
    print(f"{len(served)} lines of the endpoint parsed")

    assert any(line["type"] == "session" for line in lines) or any(line["type"] == "error" for line in lines)
    assert all(isinstance(line["type"], str) for line in served)


@pytest.mark.parametrize("case", each(ALONE))
def test_a_command(case: str) -> None:
    """Each command writes valid NDJSON; usage errors go to stderr only."""
    lines = parsed(*ALONE[case])

    if case != "devices":  # there may be none
        assert bool(lines) == (case != "usage")


def test_text_of_all_kinds(tmp_path: Path) -> None:
    """A name with a line end, a quote and an invalid byte stays within its line."""
    sound = write_wav(tmp_path / 'a\n"b"\\.wav', bytes(4_800))
    lines = parsed(*SEND, *NOWHERE, str(sound))

    assert lines[-1]["source"].endswith(".wav")
