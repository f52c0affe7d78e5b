"""``rt send --skip-done`` and ``--shard`` in many processes over one folder: real processes, some of them killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.commands.test_send_many import DEADLINE_S, MODEL, exact, send, sounds, wait_until
from tests.exact import judge
from tests.program import ROOT, RT, ended, rt, start

if TYPE_CHECKING:
    from tests.exact import ExactEndpoint

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says which processes live")
PROCESSES = 8
KILLS = 6
SEED = 19


def begin(endpoint: ExactEndpoint, *args: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start ``rt send --skip-done``, at a speed at which a file takes a second."""
    return start("send", "--url", endpoint.url, "--speed", "4", "--skip-done", *MODEL, *args, **options)


def assert_results(folder: Path, spans: list[list[range]]) -> None:
    """Assert that each source has its words once, and that nothing else is in the folder."""
    for number, spelled in enumerate(spans):
        assert judge((folder / f"{number:02}.txt").read_text().splitlines(), spelled).perfect, number
    assert len(list(folder.glob("[!.]*"))) == len(spans)


def kill_some(many: list[subprocess.Popen[bytes]], results: Path, count: int) -> None:
    """Kill processes at random moments: each after some more results, and a moment of any length."""
    randomness = random.Random(SEED)
    for number in range(KILLS):
        enough = (number + 1) * count // (KILLS + 3)
        wait_until(lambda enough=enough: len(list(results.glob("*.txt"))) >= enough)  # type: ignore[misc]
        threading.Event().wait(randomness.uniform(0, 0.3))
        many[number].send_signal(signal.SIGKILL)


@linux
@pytest.mark.parametrize("count", [48, pytest.param(120, marks=pytest.mark.long)])
def test_kills(tmp_path: Path, count: int) -> None:
    """Eight processes, six ``kill -9``: no file is lost or doubled, and each kill costs one session at most."""
    names, spans = sounds(tmp_path, count, seconds=2)
    out = tmp_path / "out"
    (tmp_path / "list").write_text("\n".join(names))
    with exact() as endpoint:
        many = [begin(endpoint, "--files-from", str(tmp_path / "list"), "--output-dir", str(out)) for _ in range(8)]
        try:
            kill_some(many, out, count)
            ran = [ended(process, seconds=2 * DEADLINE_S) for process in many]
        finally:
            for process in many:
                process.kill()
        sessions = len(endpoint.calls)
    assert [each.exit for each in ran] == [-signal.SIGKILL] * KILLS + [0] * (PROCESSES - KILLS), ran
    assert [each.err for each in ran[KILLS:]] == ["", ""]
    assert_results(out, spans)
    assert count <= sessions <= count + KILLS


@linux
def test_kill_with_many_jobs(tmp_path: Path) -> None:
    """All that a killed process worked on is taken over, and sent again by one."""
    names, spans = sounds(tmp_path, 12)
    out = str(tmp_path / "out")
    with exact() as endpoint:
        with begin(endpoint, "-j", "6", "--output-dir", out, *names) as first:
            wait_until(lambda: len(endpoint.calls) >= 4)
            first.kill()
            ended(first)
        begun = len(endpoint.calls)
        many = [begin(endpoint, "-j", "3", "--output-dir", out, *names) for _ in range(2)]
        assert [ended(process).exit for process in many] == [0, 0]
        assert len(endpoint.calls) <= begun + 12
    assert_results(tmp_path / "out", spans)


@linux
def test_waits_for_what_others_do(tmp_path: Path) -> None:
    """Who finds only live claims of others waits, sends nothing, says so on request, and leaves with 0."""
    (name,), (spelled,) = sounds(tmp_path, 1, seconds=12)
    out = str(tmp_path / "out")
    with exact() as endpoint:
        first = begin(endpoint, "--output-dir", out, name)
        wait_until(lambda: len(endpoint.calls) == 1)
        second = begin(endpoint, "--output-dir", out, "-v", name)
        waited = ended(second)
        assert ended(first).exit == waited.exit == 0
        assert len(endpoint.calls) == 1
    assert "sources that other processes work on: 1" in waited.err
    assert judge((tmp_path / "out" / "00.txt").read_text().splitlines(), spelled).perfect


@linux
def test_a_waiting_process_is_interrupted(tmp_path: Path) -> None:
    """It ends at once, as one that has not begun."""
    (name,), _ = sounds(tmp_path, 1, seconds=20)
    out = str(tmp_path / "out")
    with exact() as endpoint:
        first = begin(endpoint, "--output-dir", out, name)
        wait_until(lambda: len(endpoint.calls) == 1)
        second = begin(endpoint, "--output-dir", out, "-v", name)
        assert second.stderr is not None
        for line in second.stderr:
            if b"other processes work on" in line:
                break
        began = time.monotonic()
        second.send_signal(signal.SIGTERM)
        assert ended(second).exit == 143
        assert time.monotonic() - began < 2
        assert ended(first).exit == 0
        assert len(endpoint.calls) == 1


@linux
@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs a namespace")
def test_container_that_dies(tmp_path: Path) -> None:
    """Nobody outside sees its processes: its file is taken when the claim is five minutes old, and not before."""
    (name,), (spelled,) = sounds(tmp_path, 1, seconds=12)
    out = tmp_path / "out"
    args = ("--speed", "4", "--skip-done", *MODEL, "--output-dir", str(out), name)
    with exact() as endpoint:
        inner = [*RT, "send", "--url", endpoint.url, *args]
        container = subprocess.Popen(["unshare", "-p", "-f", "--kill-child", "--mount-proc", *inner], cwd=ROOT)
        wait_until(lambda: bool(endpoint.calls) or container.poll() is not None)
        if container.poll() is not None:
            pytest.skip("no namespaces here")
        wait_until(lambda: bool(list(out.glob("*.part"))))
        container.kill()
        container.wait(DEADLINE_S)
        heir = start("send", "--url", endpoint.url, "-v", *args)
        assert heir.stderr is not None
        for line in heir.stderr:
            if b"other processes work on" in line:
                break
        threading.Event().wait(2.5)
        assert heir.poll() is None
        assert len(endpoint.calls) == 1
        (claim,) = (path for path in (out / ".rt-done.d").rglob("*") if path.is_file())
        os.utime(claim, (0, claim.stat().st_mtime - 300))
        assert ended(heir).exit == 0
        assert len(endpoint.calls) == 2
    assert judge((out / "00.txt").read_text().splitlines(), spelled).perfect
    assert [path.name for path in out.glob("[!.]*")] == ["00.txt"]


@linux
def test_one_output_file_has_one_writer(tmp_path: Path) -> None:
    """Of several processes with one source and one ``-o`` the first writes, and the others wait."""
    (name,), (spelled,) = sounds(tmp_path, 1, seconds=12)
    env = {"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)}
    with exact() as endpoint:
        many = [begin(endpoint, "-o", str(tmp_path / "out.txt"), name, env=env) for _ in range(3)]
        assert {ended(process).exit for process in many} <= {0, 2}  # 2: begun after the file was written
        assert len(endpoint.calls) == 1
    assert judge((tmp_path / "out.txt").read_text().splitlines(), spelled).perfect


def test_failed_source_is_tried_by_the_next(tmp_path: Path) -> None:
    """A claim of what failed is given up; what was heard of it has its usual name."""
    name = tmp_path / "broken.wav"
    name.write_bytes((ROOT / "tests" / "data" / "sense_0930.wav").read_bytes()[:40_001])
    out = str(tmp_path / "out")
    with exact() as endpoint:
        for _ in range(2):
            assert send(endpoint, "--skip-done", "--output-dir", out, str(name)).exit == 3
        assert len(endpoint.calls) == 2
    assert [path.name for path in (tmp_path / "out").glob("[!.]*")] == ["broken.txt.part"]


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_shards_are_the_whole(tmp_path: Path, jobs: str) -> None:
    """Each file is in one shard, from a folder and from a list; a shard without files is no failure."""
    _, spans = sounds(tmp_path, 7)
    out = str(tmp_path / "out")
    with exact() as endpoint:
        sent = 0
        for number in range(1, 9):
            sources = (str(tmp_path),) if number % 2 else ("--files-from", str(tmp_path / "list"))
            (tmp_path / "list").write_text("\n".join(f"{tmp_path}/./{index:02}.wav" for index in range(7)))
            ran = send(endpoint, "--shard", f"{number}/8", "-j", jobs, "--output-dir", out, *sources)
            assert (ran.exit, ran.out, ran.err) == (0, "", "")
            sent += len(endpoint.calls) - sent
        assert sent == 7
    assert_results(tmp_path / "out", spans)


@pytest.mark.parametrize(
    ("args", "variables", "said"),
    [
        (("--shard", "9/8"), {}, "there is no shard 9 of 8"),
        (("--shard", "auto"), {}, "no task of one"),
        (("--shard", "1/2", "-o", "all.txt"), {}, "give --output-dir DIR, or > a file per shard"),
        (("--shard", "1/2", "--save-transcript", "all.txt"), {}, "--output-dir"),
        (("--shard", "1/2", "-"), {}, "give files, neither - nor --resume"),
        (("--shard", "auto/2"), {"JOB_COMPLETION_INDEX": "2"}, "there is no shard 3 of 2"),
    ],
)
def test_usage_errors_of_shards(args: tuple[str, ...], variables: dict[str, str], said: str, tmp_path: Path) -> None:
    """One line says what to give, and nothing is sent or written, whichever shard has how many files."""
    names, _ = sounds(tmp_path, 2)
    environ = {name: "" for name in os.environ if name.startswith("SLURM_ARRAY")} | variables
    ran = rt("send", "--url", "ws://127.0.0.1:9", *args, *names, env=environ)
    assert (ran.exit, ran.out) == (2, "")
    assert said in ran.err
    assert ran.err.count("\n") == 1
    assert not Path(ROOT / "all.txt").exists()


def test_summaries_of_a_shard(tmp_path: Path) -> None:
    """The total counts the files of this shard."""
    names, _ = sounds(tmp_path, 6)
    counted = []
    with exact() as endpoint:
        for number in (1, 2):
            ran = send(endpoint, "--json", "--shard", f"{number}/2", *names)
            assert ran.exit == 0
            counted += [json.loads(line)["source"] for line in ran.out.splitlines() if '"summary"' in line]
    assert sorted(counted) == names
