"""What people type: each does what was meant, or one line says what to type."""

from __future__ import annotations

import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.exceptions import TyperException

from rt_cli.cli.app import LOCATIONS, Commands, app, options_of
from rt_cli.cli.explain import closest_of, distance, explain
from rt_cli.cli.guesses import Facts, understand
from rt_cli.cli.synonyms import COMMANDS, OF_COMMAND, OPTIONS, SUBCOMMANDS
from rt_cli.config.layers import settings_of
from rt_cli.errors import UsageError

FILES = {"talk.wav", "two.wav", "talk.mp3", "dir/", "dir", "my talk.wav", "-dash.wav", "-- x.wav"}
OWN = {"files", "source", "mic", "spool", "resume", "jobs", "skip_done", "shard", "files_from", "null"}
"""Parameters of ``send`` and ``stream`` that are no settings."""

RUNS = [
    # Works without a guess.
    ("rt send talk.m4a two.wav", "rt send talk.m4a two.wav"),
    ("rt send -l en-US talk.wav", "rt send --language en-US talk.wav"),
    ("rt send -m whisper-1 talk.wav", "rt send --model whisper-1 talk.wav"),
    ("rt send --verbose talk.wav", "rt send -v talk.wav"),
    ("rt send talk.wav -", "rt send talk.wav -"),
    ("rt send --json talk.wav", "rt send -f json talk.wav"),
    ("rt send -q talk.wav", "rt send --quiet talk.wav"),
    ("rt send -t 2m talk.wav", "rt send --duration 120 talk.wav"),
    ("rt send --speed 2 talk.wav", "rt send --speed 2.0 talk.wav"),
    # A file, a URL or a pipe in place of a command.
    ("rt talk.wav", "rt send talk.wav"),
    ("rt talk.wav two.wav --json", "rt send talk.wav two.wav --json"),
    ("rt 'my talk.wav'", "rt send 'my talk.wav'"),
    ("rt dir/", "rt send dir/"),
    ("rt http://host.test/x.mp3", "rt send http://host.test/x.mp3"),
    ("rt HTTPS://host.test/x.mp3", "rt send HTTPS://host.test/x.mp3"),
    ("rt -", "rt send -"),
    ("rt -- talk.wav", "rt send -- talk.wav"),
    ("rt -- -dash.wav", "rt send -- -dash.wav"),
    ("rt send ./-dash.wav", "rt send -- ./-dash.wav"),
    ("cat x.wav | rt", "rt send -"),
    ("cat x.wav | rt --json", "rt send --json"),
    # Options before the command, or without one.
    ("rt -v send talk.wav", "rt send -v talk.wav"),
    ("rt -q send talk.wav", "rt send -q talk.wav"),
    ("rt --json send talk.wav", "rt send --json talk.wav"),
    ("rt --url http://localhost:1 send talk.wav", "rt send --url http://localhost:1 talk.wav"),
    ("rt --url=http://localhost:1 send talk.wav", "rt send --url http://localhost:1 talk.wav"),
    ("rt -j4 send talk.wav two.wav", "rt send -j 4 talk.wav two.wav"),
    ("rt -qmwhisper-1 send talk.wav", "rt send -q -m whisper-1 talk.wav"),
    ("rt -m send send talk.wav", "rt send -m send talk.wav"),
    ("rt -q stream --mic", "rt stream --mic -q"),
    ("rt devices -vv", "rt devices --verbose --verbose"),
    ("rt -v devices", "rt devices -v"),
    ("rt doctor -qv", "rt doctor --quiet --verbose"),
    ("rt models -qv", "rt models --quiet --verbose"),
    ("rt --local talk.wav", "rt send --local talk.wav"),
    ("rt -p work config show", "rt config show -p work"),
    # Formats and files.
    ("rt send -o out.srt talk.wav", "rt send --output out.srt -f srt talk.wav"),
    ("rt send --output out.json talk.wav", "rt send -o out.json --json talk.wav"),
    ("rt send -o ./out talk.wav", "rt send -o ./out -f text talk.wav"),
    ("rt send -o out.JSONL talk.wav", "rt send -o out.JSONL -f json talk.wav"),
    ("rt send -o out.srt -f SRT talk.wav", "rt send -o out.srt talk.wav"),
    ("rt send --format srt talk.wav", "rt send -o srt talk.wav"),
    ("rt send -f srt talk.wav", "rt send -o srt talk.wav"),
    ("rt send -o ndjson talk.wav", "rt send -o json talk.wav"),
    ("rt send -o jsonl talk.wav", "rt send -o json talk.wav"),
    ("rt send -o txt talk.wav", "rt send -o text talk.wav"),
    ("rt send -o webvtt talk.wav", "rt send -o vtt talk.wav"),
    ("rt send -o JSON talk.wav", "rt send -o json talk.wav"),
    ("rt send -f WebVTT talk.wav", "rt send -o vtt talk.wav"),
    ("rt send --json -f ndjson talk.wav", "rt send --json talk.wav"),
    # Languages.
    ("rt send --lang de talk.wav", "rt send -l de talk.wav"),
    ("rt send --language english talk.wav", "rt send -l en talk.wav"),
    ("rt send --lang Deutsch talk.wav", "rt send -l de talk.wav"),
    ("rt send -l 'English, french' talk.wav", "rt send -l en,fr talk.wav"),
    ("rt send -l multi talk.wav", "rt send --language multi talk.wav"),
    ("rt send --keyterm Zoë --keyterm ' Kubernetes' talk.wav", "rt send --keyterm Zoë --keyterm Kubernetes talk.wav"),
    ("rt send --delay low talk.wav", "rt send --delay LOW talk.wav"),
    ("rt models", "rt models"),
    # Words that other commands have.
    ("rt send help", "rt send --help"),
    ("rt stream help", "rt stream --help"),
    ("rt help send", "rt help send"),
    ("rt help", "rt help"),
    ("rt version", "rt version"),
    ("rt -V", "rt -V"),
    ("rt serve 9000", "rt serve --port 9000"),
    ("rt serve 9000 --json", "rt serve --port 9000 --json"),
    ("rt devices list", "rt devices"),
    ("rt completion bash", "rt completion bash"),
    ("rt send --start 10 -t 5 talk.wav", "rt send --start 10s --duration 5 talk.wav"),
    ("rt devices ls --json", "rt devices --json"),
]
"""What is typed, and what it means."""

SAYS = [
    ("rt listen", "rt stream --mic"),
    ("rt mic", "rt stream --mic"),
    ("rt Listen", "rt stream --mic"),
    ("rt dictate", "rt stream --mic"),
    ("rt record", "rt stream --mic --save-audio out.wav"),
    ("rt transcribe talk.wav", "rt send talk.wav"),
    ("rt caption talk.wav", "rt send -o out.vtt talk.wav"),
    ("rt --mic", "rt stream --mic"),
    ("rt -d Yeti", "rt stream -d Yeti"),
    ("rt --device Yeti --json", "rt stream --device Yeti --json"),
    ("rt sned", "rt send"),
    ("rt server", "rt serve"),
    ("rt list-devices", "rt devices"),
    ("rt profiles", "rt config show"),
    ("rt auth login", "rt login"),
    ("rt login openai", "--url URL, or rt login -p PROFILE"),
    ("rt config set model x", "rt config edit"),
    ("rt config list", "rt config show"),
    ("rt nosuch.wav", "no file nosuch.wav: check the name"),
    ("rt 'C:\\x.wav'", "no file C:.x.wav: check the name"),
    ("rt nonsense", "rt --help"),
    ("rt ws://host.test/v1", "rt send --url ws://host.test/v1 FILE"),
    ("rt s3://bucket/x.wav", "http and https.*fetch it first"),
    ("rt file:///tmp/a%20b.wav", "rt send '/tmp/a b.wav'"),
    ("rt -dash.wav", "-dash.wav looks like an option: for the file: rt send ./-dash.wav"),
    ("rt send -q talk.wav -dash.wav", "rt send ./-dash.wav"),
    ("rt send '-- x.wav'", "rt send './-- x.wav'"),
    ("rt stream talk.wav", "rt send talk.wav"),
    ("rt stream", "rt stream --mic"),
    ("rt stream --mic default", "rt stream --device default"),
    ("rt stream --mic=Yeti", "rt stream --device Yeti"),
    ("rt send", "give files"),
    ("rt send --mic", "rt stream --mic"),
    ("rt send --device Yeti talk.wav", "rt stream --device NAME"),
    ("rt send --srt talk.wav", "-f srt"),
    ("rt send --vtt talk.wav", "-f vtt"),
    ("rt send --webvtt talk.wav", "-f vtt"),
    ("rt send --text talk.wav", "-f text"),
    ("rt send --jsonl talk.wav", "--json"),
    ("rt send -o out talk.wav", "out.srt.*text, json, srt or vtt"),
    ("rt send -o out.doc talk.wav", "no format is called .doc.*use .txt"),
    ("rt send -o out.srt talk.wav two.wav", "one source, not 2.*--output-dir DIR"),
    ("rt send -o dir/ talk.wav", "--output-dir"),
    ("rt send -o out.srt -f vtt talk.wav", r"two formats, vtt and srt \(--output out.srt\): give one"),
    ("rt send -o out.srt --json talk.wav", r"two formats, srt and json \(--json\): give one of them"),
    ("rt send --json -f srt talk.wav", r"two formats, srt and json \(--json\): give one"),
    ("rt send --out x.srt talk.wav", "-o FILE"),
    ("rt send --output-file x.srt talk.wav", "-o FILE"),
    ("rt send --locale de talk.wav", "--lang CODE"),
    ("rt send --lang englsh talk.wav", "did you mean english"),
    ("rt send --key sk-1 talk.wav", "RT_API_KEY=.*--api-key-file.*rt login"),
    ("rt send --api-key sk-1 talk.wav", "all users see it"),
    ("rt send --token sk-1 talk.wav", "RT_API_KEY"),
    ("rt send --endpoint http://x talk.wav", "--url URL"),
    ("rt send --server http://x talk.wav", "--url URL"),
    ("rt send --provider openai talk.wav", "--url URL"),
    ("rt send --host x talk.wav", "--url ws://HOST:PORT"),
    ("rt send --port 1 talk.wav", "--url ws://HOST:PORT"),
    ("rt stream --list-devices", "rt devices"),
    ("rt stream -i 0", "--device NAME"),
    ("rt stream --input-device 0", "--device NAME"),
    ("rt send --debug talk.wav", "-v, or --log-file"),
    ("rt send --silent talk.wav", "-q"),
    ("rt send --no-color talk.wav", "NO_COLOR=1"),
    ("rt send --color never talk.wav", "NO_COLOR=1"),
    ("rt send --no-progress talk.wav", "--status"),
    ("rt send --timeout 5 talk.wav", "--connect-timeout TIME"),
    ("rt send --retries 5 talk.wav", "--retry-for TIME"),
    ("rt send --ss 10 talk.wav", "--start TIME"),
    ("rt send --end 20 talk.wav", "-t TIME"),
    ("rt send --realtime talk.wav", "--speed 1"),
    ("rt send --fast talk.wav", "--speed max"),
    ("rt send --split talk.wav", "--channel split"),
    ("rt send --stereo talk.wav", "--channel split"),
    ("rt send --word-timestamps talk.wav", "no times of words"),
    ("rt send --timestamps words talk.wav", "no times of words"),
    ("rt send --dry-run talk.wav", "rt config show.*rt doctor"),
    ("rt send --recursive dir", "--files-from"),
    ("rt send --parallel 4 talk.wav", "-j N"),
    ("rt send --overwrite talk.wav", "--force"),
    ("rt send --keywords x talk.wav", "--keyterm TEXT"),
    ("rt completions", "rt completion SHELL"),
    ("rt serve -p 9000", "--port N"),
    ("rt serve --listen 9000", "--port N"),
    ("rt send --local --url http://localhost:1 talk.wav", "both --local and --url: give one of them"),
    ("rt --install-completion zsh", "rt completion zsh"),
    ("rt --show-completion fish", "rt completion fish"),
    ("rt send --sample-rate 16k talk.wav", "--sample-rate .*must be a whole number"),
    ("rt send --speed 2x talk.wav", "--speed .*must be a number"),
    ("rt send --quite talk.wav", "did you mean --quiet"),
    ("rt send --modle x talk.wav", "did you mean --model"),
    ("rt send --loud talk.wav", "no option --loud: see rt send --help"),
    ("rt send -m", "requires an argument: see rt send --help"),
    ("rt send --null talk.wav", "--files-from FILE"),
    ("rt send --keyterm '<b>' talk.wav", "--keyterm .* must have neither < nor >"),
    ("rt send --keyterm '' talk.wav", "--keyterm .* must be a list of texts"),
    ("rt send --delay soon talk.wav", "--delay .* must be one of minimal, low"),
    ("rt send --files-from - -", "stdin holds the names already"),
    ("rt send - talk.wav -", "stdin can be read only once"),
    ("rt --loud send talk.wav", "no option --loud"),
]
"""What is typed, and what the line says to type."""


def facts(*, piped: bool = False) -> Facts:
    """Return the facts of a machine with some files."""
    return Facts(LOCATIONS, FILES.__contains__, piped, options_of)


def words(typed: str) -> tuple[list[str], bool]:
    """Return the arguments of a line of a shell, and whether something is piped in."""
    before, bar, command = typed.rpartition("| ")
    return shlex.split(command)[1:], bool(before and bar)


def parsed(arguments: list[str]) -> object:
    """Return what a command would run with."""
    if not arguments or arguments[0].startswith("-") or arguments[-1] == "--help":
        return arguments
    context = Commands()[arguments[0]].make_context(arguments[0], arguments[1:])
    if arguments[0] not in {"send", "stream"}:
        return arguments[0], context.params, context.args
    own = {name: value for name, value in context.params.items() if name in OWN}
    return arguments[0], own, settings_of({name: value for name, value in context.params.items() if name not in OWN})


@pytest.mark.parametrize(("typed", "meant"), RUNS, ids=[typed for typed, _ in RUNS])
def test_guess_does_what_was_meant(typed: str, meant: str) -> None:
    """The same arguments, and the same settings."""
    arguments, piped = words(typed)
    assert parsed(understand(arguments, facts(piped=piped))) == parsed(words(meant)[0])


@pytest.mark.parametrize(("typed", "says"), SAYS, ids=[typed for typed, _ in SAYS])
def test_guess_is_answered_in_one_line(typed: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line says what to type; nothing is run."""
    monkeypatch.setattr("rt_cli.commands.send.stdin_is_piped", bool)
    monkeypatch.setattr("rt_cli.commands.stream.stdin_is_piped", bool)
    line = answer(words(typed)[0])

    assert re.search(says, line), line
    assert "\n" not in line
    assert len(line) <= 160


def answer(arguments: list[str]) -> str:
    """Return the line for arguments that are refused."""
    try:
        meant = understand(arguments, facts())
    except UsageError as error:
        return str(error)
    with pytest.raises((TyperException, UsageError)) as caught:
        app(meant, prog_name="rt", standalone_mode=False)
    return str(caught.value) if isinstance(caught.value, UsageError) else explain(caught.value, meant)


def test_no_arguments_are_the_help() -> None:
    """Only what is piped in has another meaning."""
    assert understand([], facts()) == []
    assert understand([], facts(piped=True)) == ["send", "-"]


def test_a_command_is_never_a_file() -> None:
    """A file with the name of a command does not hide it."""
    there = Facts(LOCATIONS, lambda _name: True, piped=True, options=facts().options)
    for command in LOCATIONS:
        assert understand([command], there) == [command]


@given(st.lists(st.text(max_size=12), max_size=5), st.booleans())
def test_any_arguments_are_understood_or_refused(arguments: list[str], piped: bool) -> None:  # noqa: FBT001 - hypothesis gives it
    """Nothing but a UsageError is raised; no word is lost."""
    try:
        meant = understand(arguments, facts(piped=piped))
    except UsageError:
        return
    assert set(arguments) - {"list", "ls", "help"} <= set(meant)


def _known(command: str) -> set[str]:
    return {option for param in Commands()[command].params for option in param.opts}


def test_synonyms_hide_no_command_and_no_option() -> None:
    """What exists needs no synonym."""
    assert set(COMMANDS) & set(LOCATIONS) == set()
    for command, options in OF_COMMAND.items():
        assert set(options) & _known(command.removeprefix("rt ")) == set()
    everywhere = set.intersection(*(_known(command) for command in ("send", "stream")))
    assert set(OPTIONS) & everywhere == set()
    assert set(SUBCOMMANDS["rt config"]) & set(vars(Commands()["config"])["commands"]) == set()


@pytest.mark.parametrize("line", sorted({*COMMANDS.values(), *OPTIONS.values()}))
def test_synonyms_name_what_exists(line: str) -> None:
    """Each option and command of an advice is there."""
    options = {option for name in ("send", "stream", "serve", "help", "devices") for option in _known(name)}
    for word in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", line):
        assert word in options | {"-l", "-name", "-print"}, word
    for command in re.findall(r"\brt ([a-z]+)", line):
        assert command in LOCATIONS, command


@pytest.mark.parametrize(
    ("first", "second", "far"),
    [("--url", "--url", 0), ("--urll", "--url", 1), ("--modle", "--model", 2), ("", "ab", 2)],
)
def test_distance(first: str, second: str, far: int) -> None:
    """Letters added, removed or replaced, either way."""
    assert distance(first, second) == distance(second, first) == far


def test_only_one_option_is_guessed() -> None:
    """None where two are as near, or where none is near."""
    assert closest_of("--ural", ["--url", "--model"]) == "--url"
    assert closest_of("--cat", ["--bat", "--rat"]) is None
    assert closest_of("--endpoint", ["--encoding", "-e"]) is None
