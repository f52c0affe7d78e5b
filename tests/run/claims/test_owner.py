"""Which process holds a claim, and whether it is still there: real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.run.claims import owner as module
from rt_cli.run.claims.owner import Owner, Process, decode, encode, process_of, this_process

if TYPE_CHECKING:
    from collections.abc import Iterator

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says when a process started")
PRINT_OWNER = """
import sys
from rt_cli.run.claims.owner import encode, this_process
sys.stdout.buffer.write(encode(this_process())); sys.stdout.flush(); sys.stdin.read()
"""


@dataclass(frozen=True)
class Other:
    """Another process, and the owner that it takes itself for."""

    process: subprocess.Popen[bytes]
    owner: Owner


@pytest.fixture
def other() -> Iterator[Other]:
    """Another process on this machine."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", PRINT_OWNER], **pipes) as process:  # type: ignore[call-overload]
        owner = decode(process.stdout.readline())
        assert owner is not None
        yield Other(process, owner)
        process.kill()


@linux
def test_process_that_lives_and_dies(other: Other) -> None:
    """A killed process is gone before its parent has asked how it ended, and after."""
    here = this_process()
    assert process_of(other.owner, here) is Process.ALIVE
    other.process.kill()
    os.waitid(os.P_PID, other.process.pid, os.WEXITED | os.WNOWAIT)
    assert Path(f"/proc/{other.process.pid}").exists()
    assert process_of(other.owner, here) is Process.GONE
    other.process.wait(10)
    assert process_of(other.owner, here) is Process.GONE


@linux
def test_number_of_another_process(other: Other) -> None:
    """The number of a dead process is used again by one that started later."""
    assert process_of(msgspec.structs.replace(other.owner, started=1), this_process()) is Process.GONE


@linux
@pytest.mark.parametrize("change", [{"place": "another boot"}, {"host": "another-host"}, {"place": ""}])
def test_process_elsewhere_is_unknown(other: Other, change: dict[str, str]) -> None:
    """Its number means nothing here, even if nothing or something else has it."""
    changed = msgspec.structs.replace(other.owner, pid=2**22 - 1, **change)
    assert process_of(changed, this_process()) is Process.UNKNOWN


@linux
def test_namespace_of_processes() -> None:
    """A container on the same kernel has numbers of its own."""
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", PRINT_OWNER]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    if ran.returncode:
        pytest.skip(f"no namespaces here: {ran.stderr!r}")
    inner = decode(ran.stdout)
    assert inner is not None
    assert inner.place
    assert process_of(inner, this_process()) is Process.UNKNOWN


@linux
def test_numbers_of_another_namespace() -> None:
    """Where /proc shows those of the host, a process does not know its own."""
    ran = subprocess.run(
        ["unshare", "--pid", "--fork", sys.executable, "-c", PRINT_OWNER],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False,
    )  # fmt: skip
    if ran.returncode:
        pytest.skip(f"no namespaces here: {ran.stderr!r}")
    inner = decode(ran.stdout)
    assert inner is not None
    assert inner.place == ""


def test_without_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On macOS and Windows no claim is judged by its process."""
    monkeypatch.setattr(module, "PROC", tmp_path)
    here = this_process()
    assert here.place == ""
    assert process_of(here, here) is Process.UNKNOWN


@linux
def test_old_kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One without namespaces of times, or of processes, has the same processes for all."""
    (tmp_path / "sys").symlink_to("/proc/sys")
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "stat").symlink_to(f"/proc/{os.getpid()}/stat")
    (tmp_path / str(os.getpid())).symlink_to(f"/proc/{os.getpid()}")
    monkeypatch.setattr(module, "PROC", tmp_path)
    here = this_process()
    assert here.place
    assert process_of(here, here) is Process.ALIVE


@linux
def test_hidden_processes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A /proc that hides the processes of others does not make them dead."""
    here = this_process()
    monkeypatch.setattr(module, "PROC", tmp_path)
    assert process_of(here, here) is Process.UNKNOWN
    assert process_of(msgspec.structs.replace(here, pid=2**22 - 1), here) is Process.GONE


def test_each_process_has_a_token() -> None:
    """Two owners are never the same."""
    assert this_process().token != this_process().token


@given(st.binary(max_size=200))
def test_decode_anything(line: bytes) -> None:
    """What is no owner is None."""
    assert decode(line) is None or isinstance(decode(line), Owner)


def test_decode_what_was_encoded() -> None:
    """All of it, but not a part of it."""
    owner = this_process()
    assert decode(encode(owner)) == owner
    assert {decode(encode(owner)[:end]) for end in range(len(encode(owner)) - 1)} == {None}


@pytest.mark.parametrize("name", ["a b", ") R 1", "((", "\\"])
def test_name_of_a_process(name: str) -> None:
    """It may look like the rest of the line."""
    rest = " ".join(map(str, range(2, 20)))
    assert module._parse(f"7 ({name}) S 1 {rest}".encode()) == (7, b"S", 19)  # noqa: SLF001
