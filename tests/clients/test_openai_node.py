"""The official JavaScript packages, unmodified and pinned, against the embedded endpoint over TLS."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.clients.python_scenarios import SCENARIOS
from tests.clients.stages import TOKEN, leave_out, stage
from tests.fakes import run
from tests.program import needs_words
from tests.server.client import recording
from tests.servers import CERTIFICATE

HERE = Path(__file__).parent / "node"
OLDEST_NODE = 20
"""The version that these packages were seen to work with."""
STAGES = {**{name: where for name, (where, _) in SCENARIOS.items()}, "agents": "agent"}
"""The scenarios are those of the Python package, and one more."""


@cache
def _without_node() -> str | None:
    """Why the packages cannot run here; None: they can."""
    if shutil.which("npm") is None or (node := shutil.which("node")) is None:
        return "Node.js with npm is not installed"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < OLDEST_NODE:
        return f"Node.js {version} is older than {OLDEST_NODE}"
    return None


def _fetch(folder: Path) -> str | None:
    """Install the packages of the lock file; returns the reason of a failure."""
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    try:
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        return "not within five minutes"
    return (ended.stderr.strip() or "it does not say why").splitlines()[0] if ended.returncode else None


@pytest.fixture(scope="module")
def program(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scenarios with the installed packages of the lock file."""
    if (reason := _without_node()) is not None:
        pytest.skip(reason)
    names = ("package.json", "package-lock.json")
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in names)).hexdigest()[:12]
    cache = pytestconfig.cache
    folder = (Path(cache.mkdir("clients")) if cache else tmp_path_factory.mktemp("clients")) / digest
    folder.mkdir(exist_ok=True)
    done = folder / "done"
    if not done.exists():
        for name in names:
            shutil.copy(HERE / name, folder)
        if (reason := _fetch(folder)) is not None:
            pytest.skip(f"npm cannot fetch the packages: {reason}")
        done.touch()
    for source in HERE.glob("*.mjs"):
        shutil.copy(source, folder)
    return folder / "scenarios.mjs"


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A human turn in the wire format."""
    path = tmp_path_factory.mktemp("speech") / "24_khz.pcm"
    path.write_bytes(recording("sense_0930"))
    return path


async def play(program: Path, speech: Path, where: str, names: list[str], *faults: str) -> dict[str, str | None]:
    """Run scenarios against one endpoint; returns the failures."""
    async with stage(where, *faults, tls=True) as server:
        asked = {
            "url": f"https://localhost:{server.port}/v1",
            "key": TOKEN,
            "speech": str(speech),
            "scenarios": names,
        }
        node = await asyncio.create_subprocess_exec(
            *("node", str(program), json.dumps(asked)),
            env={**os.environ, "NODE_EXTRA_CA_CERTS": str(CERTIFICATE)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await node.communicate()
        except asyncio.CancelledError:
            node.kill()
            await node.wait()
            raise
    verdicts: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
    assert [verdict["scenario"] for verdict in verdicts] == names, err.decode()
    return {verdict["scenario"]: None if verdict["ok"] else verdict["reason"] for verdict in verdicts}


@pytest.mark.parametrize(
    "where",
    [pytest.param(where, marks=needs_words if where == "words" else ()) for where in sorted(set(STAGES.values()))],
)
def test_scenarios(where: str, program: Path, speech: Path) -> None:
    """See ``scenarios.mjs``."""
    names = [name for name in STAGES if STAGES[name] == where]
    assert run(play(program, speech, where, names), 120) == dict.fromkeys(names)


def test_broken_answers_are_noticed(program: Path, speech: Path) -> None:
    """Each broken answer makes its scenario fail with a reason."""
    faults = ("omit=response.content_part.added", "dup=committed")
    names = ["out_of_band", "items"]
    reasons = run(play(program, speech, "echo", names, *faults), 120)
    assert "in place of response.content_part.added" in (reasons["out_of_band"] or "")
    assert "in place of conversation.item.added" in (reasons["items"] or "")


def test_a_missing_field_is_noticed(program: Path, speech: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scenarios notice it, and the package, which drops such events."""
    leave_out("content_index", monkeypatch)
    reasons = run(play(program, speech, "echo", ["out_of_band"]), 120)
    assert reasons["out_of_band"] == "response.content_part.added without content_index"
    leave_out("item_id", monkeypatch)
    assert "function_call_arguments" in (run(play(program, speech, "agent", ["agents"]), 120)["agents"] or "")
