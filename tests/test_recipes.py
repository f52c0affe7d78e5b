"""The recipes of ``rt help recipes``, each run by bash unchanged."""

from __future__ import annotations

import configparser
import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import webvtt

from tests.program import DATA, ROOT, Ran, needs_words, read_wav, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.virtual_microphone import VirtualMicrophone

if sys.platform == "win32":
    pytest.skip("the recipes are for bash", allow_module_level=True)

TOPIC = ROOT / "rt_cli" / "help" / "recipes.md"
SECTION = re.compile(r"^## Recipes\n(.*?)(?=^## )", re.DOTALL | re.MULTILINE)
RECIPE = re.compile(
    r"^### (?P<title>[^\n]+)\n(?:(?!^### |^```).)*^```(?P<language>bash|ini)\n(?P<code>.*?)^```\n"
    r"(?:\n```text\n(?P<output>.*?)^```\n)?",
    re.DOTALL | re.MULTILINE,
)
SPEECH = DATA / "sense_0930.wav"
SAID = "he might even have been made amiable himself"
DEADLINE_S = 120.0
PAUSE_S = 2.0
"""Longer than the silence that ends a turn."""
PLACE = "/usr/local/bin/rt"


@dataclass(frozen=True)
class Recipe:
    """A code block, and its expected output."""

    title: str
    language: str
    code: str
    output: str | None

    @property
    def programs(self) -> list[str]:
        """Return the programs that it needs besides ``rt``."""
        return [name for name in ("ffmpeg", "arecord", "jq") if re.search(rf"^{name}\b", self.code, re.MULTILINE)]


def recipes(text: str) -> dict[str, Recipe]:
    """Return the recipes of the topic, by title."""
    section = SECTION.search(text)
    found = [Recipe(**each.groupdict()) for each in RECIPE.finditer(section[1])] if section else []
    return {recipe.title: recipe for recipe in found}


ALL = recipes(TOPIC.read_text(encoding="utf-8"))
SCRIPTS = [recipe for recipe in ALL.values() if recipe.language == "bash"]


@dataclass(frozen=True)
class Kitchen:
    """A folder with recordings, and an environment with one endpoint and no key."""

    folder: Path
    environ: dict[str, str]

    def run(self, code: str, **more: str) -> Ran:
        """Run a script; its child processes end with it."""
        with subprocess.Popen(
            ["bash", "-c", code],
            cwd=self.folder,
            env=self.environ | more,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            try:
                out, err = process.communicate(timeout=DEADLINE_S)
            except subprocess.TimeoutExpired as late:
                said = (late.stderr or b"").decode(errors="replace")
                raise AssertionError(f"still running after {DEADLINE_S:g} s: {said}") from None
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        return Ran(process.returncode, out.decode(), err.decode())


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An embedded endpoint, warm for all recipes."""
    with served("--recognizer", "pocketsphinx") as (url, _):
        yield url


@pytest.fixture
def kitchen(endpoint: str, tmp_path: Path) -> Kitchen:
    """A new folder for each recipe."""
    folder = tmp_path / "kitchen"
    folder.mkdir()
    for name in ("talk.wav", "two.wav"):
        shutil.copy(SPEECH, folder / name)
    (folder / "broken.wav").write_text("this is no sound")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("RT_", "OPENAI_", "AZURE_"))}
    environ |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "RT_CONFIG": str(tmp_path / "none.toml"),
        "RT_URL": endpoint,
        "PYTHONWARNINGS": "default",
    }
    (tmp_path / "none.toml").touch()
    return Kitchen(folder, environ)


@contextlib.contextmanager
def spoken(microphone: VirtualMicrophone, *, again: bool) -> Iterator[None]:
    """Play the recording into the microphone as soon as it is in use, during the block.

    Args:
        microphone: Receives the sound.
        again: Repeat the recording until the end of the block; else play it once.
    """
    over = threading.Event()

    def speak() -> None:
        until = time.monotonic() + DEADLINE_S
        while not over.wait(0.1) and time.monotonic() < until:
            if microphone.control("list", "short", "source-outputs"):
                microphone.play(SPEECH).wait(DEADLINE_S)
                if not again or over.wait(PAUSE_S):
                    return

    speaker = threading.Thread(target=speak)
    speaker.start()
    try:
        yield
    finally:
        over.set()
        speaker.join(DEADLINE_S)


def same(line: str, wanted: str) -> bool:
    """Return whether a line is as expected; recognised words may differ a little between versions."""
    if SAID not in wanted:
        return line == wanted
    words, others = line.split(), wanted.split()
    return sum(match.size for match in SequenceMatcher(None, words, others).get_matching_blocks()) >= 0.6 * len(others)


def check_captions(folder: Path) -> None:
    """Captions that other programs can read, and all of the sound."""
    cues = webvtt.read(str(folder / "room.vtt")).captions
    assert same(" ".join(cue.text.replace("\n", " ") for cue in cues), SAID)
    frames, rate_hz = read_wav(folder / "room.wav")
    assert len(frames) == 6 * 2 * rate_hz


def check_loop(folder: Path) -> None:
    """A file of words for each recording; none for other files."""
    assert same((folder / "two.txt").read_text().strip(), SAID)
    assert (folder / "broken.txt").read_text() == ""


def check_xargs(folder: Path) -> None:
    """The words of each recording in its own file."""
    for path in (folder / "words").iterdir():
        assert same(path.read_text().strip(), SAID)


LEFT: dict[str, Callable[[Path], None]] = {
    "Captions to a file while recording": check_captions,
    "A loop over files": check_loop,
    "xargs": check_xargs,
}
"""Checks of the files that a recipe leaves in the folder."""


@needs_words
@pytest.mark.parametrize("recipe", SCRIPTS, ids=lambda recipe: recipe.title)
def test_recipe(recipe: Recipe, kitchen: Kitchen, request: pytest.FixtureRequest) -> None:
    """The recipe succeeds, and prints exactly what the topic says."""
    if missing := [name for name in recipe.programs if shutil.which(name) is None]:
        pytest.skip(f"{', '.join(missing)} not installed")
    if "talk.m4a" in recipe.code:
        subprocess.run(["ffmpeg", "-v", "quiet", "-i", str(SPEECH), str(kitchen.folder / "talk.m4a")], check=True)
    if "--mic" in recipe.code or "arecord" in recipe.code:
        microphone: VirtualMicrophone = request.getfixturevalue("virtual_microphone")
        # It waits for one word, and the demo recogniser misses one recording in ten.
        with spoken(microphone, again="keyword" in recipe.title):
            ran = kitchen.run(recipe.code, **microphone.environment)
    else:
        ran = kitchen.run(recipe.code)

    assert ran.exit == 0, ran.err
    assert recipe.output is not None
    lines, wanted = ran.out.splitlines(), recipe.output.splitlines()
    assert [same(*pair) for pair in zip(lines, wanted, strict=True)] == [True] * len(wanted), (lines, ran.err)
    assert [cause for cause in ran.causes if "broken.wav" not in cause] == []
    if check := LEFT.get(recipe.title):
        check(kitchen.folder)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (
            {"RT_URL": "http://127.0.0.1:9", "RT_RETRY_FOR": "0.1", "RT_CONNECT_TIMEOUT": "1"},
            "not reached: try again later",
        ),
        ({"RT_CONFIG": "/nowhere.toml"}, "see above"),
    ],
    ids=["unreachable", "usage"],
)
def test_exit_codes_tell_the_cause(kitchen: Kitchen, environ: dict[str, str], said: str) -> None:
    """The other branches of the recipe."""
    assert kitchen.run(ALL["Exit codes in `if`"].code, **environ).out.splitlines() == [said]


@pytest.fixture
def unit() -> str:
    """The unit file of the topic."""
    (found,) = (recipe for recipe in ALL.values() if recipe.language == "ini")
    return found.code


def test_the_unit_is_one(unit: str, tmp_path: Path) -> None:
    """``systemd-analyze`` reports no problem."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze not installed")
    assert unit.count(PLACE) == 2
    path = tmp_path / "rt.service"
    path.write_text(unit.replace(PLACE, str(Path(sys.executable).with_name("rt"))))
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False)
    if "initialize manager" in done.stderr:
        pytest.skip(f"systemd-analyze does not run here: {done.stderr.strip()}")

    assert (done.returncode, done.stderr) == (0, "")


@needs_words
@pytest.mark.microphone
@pytest.mark.long
def test_the_service_delivers_and_stops(
    unit: str, kitchen: Kitchen, tmp_path: Path, virtual_microphone: VirtualMicrophone
) -> None:
    """Run its commands like systemd: killed once, started again, stopped."""
    parser = configparser.RawConfigParser(comment_prefixes="#", strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # the names have capitals
    parser.read_string(unit)
    service = parser["Service"]
    before, main = (
        shlex.split(service[key].replace(PLACE, "rt").replace("%S", str(tmp_path)))
        for key in ("ExecStartPre", "ExecStart")
    )
    (tmp_path / "rt").mkdir()  # StateDirectory
    environ = kitchen.environ | virtual_microphone.environment

    with contextlib.ExitStack() as stack:
        processes = Processes(stack, kitchen.folder, environ)
        assert processes.run(before) == ""  # nothing to deliver, no output
        first = processes.start(main)
        ready(first)
        virtual_microphone.play(SPEECH).wait(30)
        first.kill()
        first.wait(30)
        delivered = processes.run(before)
        second = processes.start(main)
        ready(second)
        second.terminate()
        last, _ = second.communicate(timeout=60)

    assert '"type":"final"' in delivered
    assert second.returncode == 0
    assert '"complete":true' in last.splitlines()[-1]
    assert '"type":"summary"' in last.splitlines()[-1]


@dataclass(frozen=True)
class Processes:
    """Processes of a service; all end with the stack."""

    stack: contextlib.ExitStack
    folder: Path
    environ: dict[str, str]

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        """Start a process, with its stdout in a pipe."""
        process: subprocess.Popen[str] = subprocess.Popen(
            command, cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        self.stack.enter_context(process)
        self.stack.callback(process.kill)
        return process

    def run(self, command: list[str]) -> str:
        """Run a process to its end, which must be a success."""
        process = self.start(command)
        out, _ = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, out
        return out


def ready(process: subprocess.Popen[str]) -> None:
    """Wait until the session takes audio."""
    assert process.stdout is not None
    for line in process.stdout:
        if '"state":"ready"' in line:
            return
    raise AssertionError("it ended before it was ready")


def test_none_is_left_out() -> None:
    """Each title of the section has a recipe, and each script has an expected output."""
    section: Any = SECTION.search(TOPIC.read_text(encoding="utf-8"))
    assert section is not None
    assert re.findall(r"^### (.+)$", section[1], re.MULTILINE) == list(ALL)
    assert all(recipe.output for recipe in SCRIPTS)
    assert set(ALL) >= set(LEFT)
