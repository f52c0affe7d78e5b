"""Claims in a real folder: many processes and threads, what is left of the dead, clocks that differ."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec
import pytest

from rt_cli.run.claims import claims as module
from rt_cli.run.claims import folder as folder_module
from rt_cli.run.claims.claims import Claim, Claims
from rt_cli.run.claims.decision import STALE_S, Phase, Standing
from rt_cli.run.claims.folder import ClaimFolder
from rt_cli.run.claims.owner import Process, process_of, this_process

if TYPE_CHECKING:
    from pathlib import Path

NAME = "ab" + "0" * 62
TAKE = """
import pathlib, sys
from rt_cli.run.claims.claims import Claim, Claims
claims = Claims(pathlib.Path(sys.argv[1]))
print("ready", flush=True); sys.stdin.readline()
taken = [number for number in range(300) if isinstance(claims.take(f"{number % 7:02x}{number:062x}"), Claim)]
print(*taken, flush=True); sys.stdin.readline()
"""


def elsewhere(folder: Path) -> Claims:
    """Return the claims of a process on another machine."""
    return Claims(folder, msgspec.structs.replace(this_process(), host="elsewhere"))


def ended(claims: Claims, claim: Claim | Standing, *, done: bool) -> None:
    """End a claim, and its process."""
    assert isinstance(claim, Claim)
    (claims.finish if done else claims.release)(claim)
    assert claims.close(10)
    assert claims.failure is None


def age(folder: Path, seconds: float) -> None:
    """Make the claims older."""
    for path in folder.rglob("*"):
        found = path.stat()
        os.utime(path, (found.st_atime, found.st_mtime - seconds))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says which processes live")
def test_processes_take_each_once(tmp_path: Path) -> None:
    """Eight at the same moment over 300 names; those of a killed one are free at once, and each has one heir."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    many = [subprocess.Popen([sys.executable, "-c", TAKE, tmp_path / "d"], **pipes) for _ in range(8)]  # type: ignore[call-overload]
    try:
        for process in many:
            assert process.stdout.readline() == "ready\n"
        for process in many:
            process.stdin.write("\n")
            process.stdin.flush()
        taken = [[int(number) for number in process.stdout.readline().split()] for process in many]
        assert sorted(number for each in taken for number in each) == list(range(300))
        most = max(range(8), key=lambda index: len(taken[index]))
        many[most].kill()
        many[most].wait(10)
        with ThreadPoolExecutor(4) as threads:
            heirs = [Claims(tmp_path / "d") for _ in range(4)]
            names = [f"{number % 7:02x}{number:062x}" for number in range(300)]
            inherited = list(threads.map(lambda heir: [isinstance(heir.take(name), Claim) for name in names], heirs))
    finally:
        for process in many:
            process.kill()
            process.communicate()
    assert [sum(each) for each in zip(*inherited, strict=True)] == [number in taken[most] for number in range(300)]


@pytest.mark.parametrize("links", [True, False])
def test_threads_take_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, links: bool) -> None:
    """Also on a file system without hard links."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    many = [Claims(tmp_path / "d") for _ in range(16)]
    start = threading.Barrier(16)

    def take(claims: Claims) -> bool:
        start.wait(10)
        return isinstance(claims.take(NAME), Claim)

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(take, many)) == 1
    assert [path.name for path in (tmp_path / "d").rglob("*") if path.is_file()] == [NAME[2:]]


def test_link_whose_answer_was_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS repeats a request: the second answer is that the file exists."""
    link = os.link

    def twice(source: Path, target: Path) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", twice)
    first, second = Claims(tmp_path / "d"), Claims(tmp_path / "d")
    claim = first.take(NAME)
    assert isinstance(claim, Claim)
    assert claim.number == 0
    assert second.take(NAME) is Standing.BUSY


def test_process_elsewhere(tmp_path: Path) -> None:
    """It is dead five minutes after its last sign of life, and not before."""
    there, here = elsewhere(tmp_path / "d"), Claims(tmp_path / "d")
    assert isinstance(there.take(NAME), Claim)
    assert here.take(NAME) is Standing.BUSY
    age(tmp_path / "d", STALE_S - 20)
    assert here.take(NAME) is Standing.BUSY
    assert here.busy([NAME]) == {NAME}
    age(tmp_path / "d", 40)
    assert here.busy([NAME]) == set()
    claim = here.take(NAME)
    assert isinstance(claim, Claim)
    assert claim.number == 1
    assert claim.predecessors == (there.owner,)
    assert elsewhere(tmp_path / "d").take(NAME) is Standing.BUSY


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("heir_done", [True, False])
def test_return_of_the_dead(tmp_path: Path, *, done: bool, heir_done: bool) -> None:
    """What a machine that was asleep does with its claim does not touch that of its heir."""
    there, here = elsewhere(tmp_path / "d"), Claims(tmp_path / "d")
    lost = there.take(NAME)
    age(tmp_path / "d", STALE_S + 20)
    claim = here.take(NAME)
    ended(there, lost, done=done)
    third = Claims(tmp_path / "d")
    assert third.take(NAME) is (Standing.DONE if done else Standing.BUSY)
    ended(here, claim, done=heir_done)
    if done or heir_done:
        assert third.take(NAME) is Standing.DONE
    else:
        assert isinstance(third.take(NAME), Claim)


def test_clocks_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ages are those of the file server: the clock of this machine does not count."""
    there = elsewhere(tmp_path / "d")
    assert isinstance(there.take(NAME), Claim)
    wall = time.time()
    monkeypatch.setattr(time, "time", lambda: wall + 1e6)
    monkeypatch.setattr(time, "time_ns", lambda: int((wall + 1e6) * 1e9))
    assert Claims(tmp_path / "d").take(NAME) is Standing.BUSY


def test_claim_is_refreshed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as it is held."""
    monkeypatch.setattr(module, "REFRESH_S", 0.01)
    there = elsewhere(tmp_path / "d")
    claim = there.take(NAME)
    (file,) = (path for path in (tmp_path / "d").rglob("*") if path.is_file())
    os.utime(file, (0, 0))
    until = time.monotonic() + 10
    while file.stat().st_mtime == 0 and time.monotonic() < until:
        threading.Event().wait(0.01)
    assert file.stat().st_mtime > 0
    ended(there, claim, done=False)
    os.utime(file, (0, 0))
    threading.Event().wait(0.1)
    assert file.stat().st_mtime == 0


def test_close_gives_up_what_is_held(tmp_path: Path) -> None:
    """A run that ends early leaves nothing claimed."""
    first, second = Claims(tmp_path / "d"), Claims(tmp_path / "d")
    assert isinstance(first.take(NAME), Claim)
    assert first.close(10)
    assert first.close(10)
    assert isinstance(second.take(NAME), Claim)


def test_release_after_finish_is_without_effect(tmp_path: Path) -> None:
    """What is done stays done."""
    first = Claims(tmp_path / "d")
    claim = first.take(NAME)
    assert isinstance(claim, Claim)
    first.finish(claim)
    ended(first, claim, done=False)
    assert Claims(tmp_path / "d").take(NAME) is Standing.DONE
    (file,) = (path for path in (tmp_path / "d").rglob("*") if path.is_file())
    assert file.read_bytes().endswith(b"}\ndone\n")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"{}\n", b"\xff\xfe\n", b"x" * 100_000, b'{"host":1}\n', b"[" * 4000, b'{"pid":1e999}\ndon', b"\0\n\n"],
)
def test_claim_that_cannot_be_understood(tmp_path: Path, content: bytes) -> None:
    """It is of somebody elsewhere, until it is five minutes old."""
    here = Claims(tmp_path / "d")
    (tmp_path / "d" / NAME[:2]).mkdir()
    (tmp_path / "d" / NAME[:2] / NAME[2:]).write_bytes(content)
    assert here.take(NAME) is Standing.BUSY
    age(tmp_path / "d", STALE_S + 20)
    assert isinstance(here.take(NAME), Claim)


def test_half_a_word_is_none(tmp_path: Path) -> None:
    """A crash while *done* is written leaves work to do."""
    here = ClaimFolder(tmp_path / "d", this_process())
    assert here.create(NAME, 0)
    here.write(NAME, 0, Phase.DONE)
    (file,) = (path for path in (tmp_path / "d").rglob("*") if path.is_file())
    whole = file.read_bytes()
    for cut in range(1, len(b"done\n")):
        file.write_bytes(whole[:-cut])
        found = here.read(NAME, 0)
        assert found is not None
        assert found.phase is Phase.WORKING
    assert found.owner is not None
    assert process_of(found.owner, this_process()) in {Process.ALIVE, Process.UNKNOWN}


def test_nothing_else_is_left_in_the_folder(tmp_path: Path) -> None:
    """A claim is one file; helpers are gone."""
    first = Claims(tmp_path / "d")
    ended(first, first.take(NAME), done=True)
    assert elsewhere(tmp_path / "d").take(NAME) is Standing.DONE
    assert sorted(path.name for path in (tmp_path / "d").rglob("*")) == sorted([NAME[:2], NAME[2:]])


def test_server_time_is_asked_rarely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that waits for a thousand files looks once."""
    here = ClaimFolder(tmp_path / "d", this_process())
    calls: list[object] = []
    monkeypatch.setattr(folder_module, "write_new", lambda *given: calls.append(given))
    assert abs(here.server_time() - here.server_time()) < 5
    assert calls == []
