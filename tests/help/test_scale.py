"""The recipes of ``rt help scale``: their commands as they stand, in folders of the test."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.commands.test_send_many import exact, sounds
from tests.exact import judge
from tests.program import ROOT, ended, start

if TYPE_CHECKING:
    from collections.abc import Iterator

if sys.platform == "win32":
    pytest.skip("the recipes are for bash", allow_module_level=True)

TEXT = (ROOT / "rt_cli" / "help" / "scale.md").read_text(encoding="utf-8")
COUNT = 10
TASKS = 4
CONFIG = """[endpoint]
model = "gpt-4o-transcribe"
[session]
turn_detection = "server_vad"
silence_ms = 300
"""


def recipe(title: str, language: str) -> str:
    """Return the first block of a language behind a heading."""
    found = re.search(rf"^## {title}\n(?:(?!^## ).)*?^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


class Archive:
    """A folder with sound, a list and an environment in which ``rt`` has an endpoint."""

    def __init__(self, folder: Path, url: str) -> None:
        """Make the sound and the list."""
        (folder / "talks").mkdir()
        (folder / "bin").mkdir()
        self.folder = folder
        self.names, self.spans = sounds(folder / "talks", COUNT, seconds=2)
        (folder / "list.txt").write_text("\n".join(self.names))
        (folder / "config.toml").write_text(CONFIG)
        path = f"{folder / 'bin'}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environ = {"RT_URL": url, "RT_CONFIG": str(folder / "config.toml"), "PATH": path, "HOME": str(folder)}
        for variable, value in (("PYTHONPATH", str(ROOT)), ("RT_SPEED", "max")):
            self.environ[variable] = value

    def begin(self, script: str, **variables: str) -> subprocess.Popen[bytes]:
        """Start a script."""
        return subprocess.Popen(
            ["bash", "-c", script], cwd=self.folder, env=os.environ | self.environ | variables,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def assert_done(self, out: Path, sessions: int) -> None:
        """Assert that each file was sent once, and has its words."""
        for number, spelled in enumerate(self.spans):
            assert judge((out / f"{number:02}.txt").read_text().splitlines(), spelled).perfect
        assert sessions == COUNT


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[tuple[Archive, list[object]]]:
    """An archive, and the sessions of its endpoint."""
    with exact() as endpoint:
        yield Archive(tmp_path, endpoint.url), endpoint.calls  # type: ignore[misc]


def test_slurm(archive: tuple[Archive, list[object]]) -> None:
    """Each task of the array sends its part; ``srun`` starts what follows."""
    place, calls = archive
    script = recipe("SLURM", "bash").replace("/archive", str(place.folder))
    (place.folder / "bin" / "srun").write_text('#!/bin/sh\nexec "$@"\n')
    (place.folder / "bin" / "srun").chmod(0o755)
    bounds = {"SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_MAX": str(TASKS - 1), "SLURM_ARRAY_TASK_COUNT": str(TASKS)}
    tasks = [place.begin(script, SLURM_ARRAY_TASK_ID=str(task), **bounds) for task in range(TASKS)]
    assert [(ran.exit, ran.err) for ran in map(ended, tasks)] == [(0, "")] * TASKS
    place.assert_done(place.folder / "out", len(calls))


@pytest.mark.skipif(shutil.which("parallel") is None, reason="no GNU parallel here")
def test_parallel(archive: tuple[Archive, list[object]]) -> None:
    """Eight processes share the list."""
    place, calls = archive
    ran = ended(place.begin(recipe("GNU parallel", "bash")), seconds=60)
    assert ran.exit == 0, ran.err
    place.assert_done(place.folder / "out", len(calls))


@pytest.mark.skipif(shutil.which("parallel") is None, reason="no GNU parallel here")
def test_parallel_on_three_machines(archive: tuple[Archive, list[object]]) -> None:
    """The machines are this one."""
    place, calls = archive
    script = recipe("GNU parallel", "sh").replace("/mnt", str(place.folder)).replace("-S host1,host2,host3", "")
    ran = ended(place.begin(script), seconds=60)
    assert ran.exit == 0, ran.err
    place.assert_done(place.folder / "out", len(calls))


def test_kubernetes(archive: tuple[Archive, list[object]]) -> None:
    """Each pod sends its part; the count of the arguments is that of the Job."""
    place, calls = archive
    job = recipe("Kubernetes", "yaml")
    listed = re.search(r"args: \[(.*)\]", job)
    assert listed is not None
    args = [arg.strip('"') for arg in listed[1].replace("/mnt", str(place.folder)).split(", ")]
    (completions,) = re.findall(r"completions: (\d+)", job)
    assert f"auto/{completions}" in args
    args[args.index(f"auto/{completions}")] = f"auto/{TASKS}"
    pods = [start(*args, env=place.environ | {"JOB_COMPLETION_INDEX": str(pod)}) for pod in range(TASKS)]
    assert [(ran.exit, ran.err) for ran in map(ended, pods)] == [(0, "")] * TASKS
    place.assert_done(place.folder / "out", len(calls))


def test_rerun_of_one_task(archive: tuple[Archive, list[object]]) -> None:
    """The part of a task, named by hand, is that of the array."""
    place, calls = archive
    found = re.search(r"`--shard (\$\(\(.*\)\))/64`", TEXT)
    assert found is not None
    script = recipe("SLURM", "bash").replace("/archive", str(place.folder)).replace("srun ", "")
    for task in range(TASKS):
        own = script.replace("--shard auto", f"--shard {found[1]}/{TASKS}")
        assert ended(place.begin(own, SLURM_ARRAY_TASK_ID=str(task))).exit == 0
    place.assert_done(place.folder / "out", len(calls))


def test_commands_are_known() -> None:
    """Each ``rt`` of a shell block has options that there are."""
    options = set(re.findall(r"(?<!\S)--?[a-z-]+", ended(start("send", "--help-all")).out.replace(",", " ")))
    for block in re.findall(r"^```(?:bash|sh)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE):
        for line in re.findall(r"\brt send (.*?)(?::::.*)?$", block.replace("\\\n", ""), re.MULTILINE):
            used = {word for word in shlex.split(line) if word.startswith("-")}
            assert used <= options
