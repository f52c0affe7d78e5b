"""The recipe of ``rt help agents``, run as it stands: a real agent of a package between ``rt talk`` and ``rt serve``.

The recipe makes an environment of its own, with the version that it names; without a package index it fails.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.program import ROOT, Ran

TOPIC = (ROOT / "rt_cli" / "help" / "agents.md").read_text(encoding="utf-8")
DEADLINE_S = 600.0
"""Most of it is the installation."""


def block(language: str) -> str:
    """The only code block of a language."""
    (code,) = re.findall(rf"^```{language}\n(.*?)^```$", TOPIC, re.DOTALL | re.MULTILINE)
    return str(code)


AGENT, SCRIPT = block("python"), block("bash")


def free_ports() -> tuple[str, str]:
    """Two ports that nobody listens at."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        first, second = (str(each.getsockname()[1]) for each in sockets)
        return first, second


@dataclass(frozen=True)
class Workshop:
    """A folder in which the recipe is run, again and again in one environment."""

    folder: Path

    def run(self, agent: str, script: str) -> Ran:
        """Run the script with this agent; its child processes end with it."""
        for made in (*self.folder.glob("*.wav"), *self.folder.glob("*.xml")):
            made.unlink()
        (self.folder / "agent.py").write_text(agent, encoding="utf-8")
        model, port = free_ports()
        with subprocess.Popen(
            ["bash", "-e", "-c", script.replace("8765", model).replace("8766", port)],
            cwd=self.folder,
            env=self._environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            try:
                out, err = process.communicate(timeout=DEADLINE_S)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        return Ran(process.returncode, out.decode(), err.decode())

    def failures(self) -> dict[str, str]:
        """What the report says was not as expected."""
        cases = ET.parse(self.folder / "report.xml").getroot().iter("testcase")  # noqa: S314 - our own report
        failed = ((case.get("name", ""), case.find("failure")) for case in cases)
        return {name: failure.get("message", "") for name, failure in failed if failure is not None}

    def _environ(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("RT_", "OPENAI_", "AZURE_"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**own, "PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(self.folder)}


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """One environment for all tests."""
    return Workshop(tmp_path_factory.mktemp("workshop"))


@pytest.mark.long
def test_the_recipe(workshop: Workshop) -> None:
    """The agent answers, and runs its tool."""
    ran = workshop.run(AGENT, SCRIPT)

    assert ran.exit == 0, ran.err
    assert "The tool says: order forty two is refunded" in ran.out
    assert workshop.failures() == {}


@pytest.mark.long
def test_an_agent_that_does_something_else(workshop: Workshop) -> None:
    """Its tool does not what the test expects: exit code 8, and the line and the report say which."""
    ran = workshop.run(AGENT.replace("is refunded", "is gone"), SCRIPT)

    problem = "no reply says it, but: You said: when are you open; The tool says: order forty two is gone"
    assert ran.exit == 8, ran.err
    assert f"rt: --expect 'forty two is refunded': {problem}" in ran.err.splitlines()
    assert workshop.failures() == {"--expect 'forty two is refunded'": problem}


@pytest.mark.long
def test_an_agent_that_is_interrupted(workshop: Workshop) -> None:
    """The caller is impatient: the first reply is cut, the agent knows it, and the second one is whole."""
    script = SCRIPT.replace("--max-latency", "--json --interrupt-at 0.5s --max-latency")
    script = script.replace('--expect "when are you open" ', "")

    ran = workshop.run(AGENT, script)

    assert ran.exit == 0, ran.err
    assert '"interruptions":1' in ran.out
    assert re.search(r'"barge_in","at_ms":\d+,"truncated_ms":\d', ran.out)
