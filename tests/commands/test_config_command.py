"""``rt config``: path, effective values with their origins, and the example file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from rt_cli.config.layers import load_settings
from rt_cli.config.values import settings_keys
from rt_cli.settings import Settings
from tests.program import ROOT, rt

EXAMPLE = (ROOT / "config.example.toml").read_text()
FILE = """
default_profile = "lab"
[endpoint]
url = "https://user:geheim@base.test/v1?api-key=geheim"
headers = {X-Team = "geheim"}
[session]
language = "de"
[profiles.lab]
url = "https://lab.test"
key_env = "LAB_KEY"
silence_ms = 800
[profiles.work]
price_per_minute = 0.006
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config file."""
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    return path


def setting_lines(*arguments: str, env: dict[str, str] | None = None) -> dict[str, tuple[Any, str]]:
    """Return value and origin of each key."""
    ran = rt("config", "show", "--json", *arguments, env=env)
    assert (ran.exit, ran.err) == (0, "")
    return {event["key"]: (event["value"], event["origin"]) for event in ran.of("setting")}


def test_origins(config: Path) -> None:
    """The origin is default, file, profile, variable or option."""
    found = setting_lines("--config", str(config), "--speed", "max", "-t", "2m", env={"RT_MODEL": "m", "RT_GATE": ""})

    assert list(found) == list(settings_keys())
    given = {name: shown for name, shown in found.items() if shown[1] != "default"}
    assert given == {
        "url": ("https://lab.test", "profile lab"),
        "profile": ("lab", "profile lab"),
        "key_env": ("LAB_KEY", "profile lab"),
        "silence_ms": (800, "profile lab"),
        "language": ("de", "file"),
        "model": ("m", "RT_MODEL"),
        "speed": ("max", "--speed"),
        "duration": (120.0, "--duration"),
    }


def test_a_profile_is_named(config: Path) -> None:
    """The profile is named. Keys that its URL discards are not listed."""
    found = setting_lines("--config", str(config), "-p", "work")

    assert found["price_per_minute"] == (0.006, "profile work")
    assert found["url"][1] == "file"
    assert found["headers"] == ({"X-Team": "***"}, "file")
    assert setting_lines("--config", str(config), "--url", "wss://other.test")["headers"] == ({}, "default")


def test_origin_of_a_concatenated_table() -> None:
    """The origin of a concatenated table names all its layers."""
    assert setting_lines("--set", "a.b=1", "--set", "c=x")["extra"] == ({"a.b": 1, "c": "x"}, "--set")


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
def test_secrets_are_masked(config: Path, form: tuple[str, ...]) -> None:
    """Passwords in URLs, keys in queries, header values, and keys in ``extra`` are masked."""
    more = ("--set", "note=token: geheim", "-H", "X-More: geheim")
    proxy = {"RT_PROXY": "http://me:geheim@proxy.test:1"}
    ran = rt("config", "show", *form, "--config", str(config), "-p", "work", *more, env=proxy)

    assert (ran.exit, ran.err) == (0, "")
    assert "***" in ran.out
    assert "geheim" not in ran.out


def test_output_is_a_config_file(tmp_path: Path) -> None:
    """The output is valid TOML with the same values."""
    given = ("--silence-ms", "0.7s", "--prompt", 'a "b" \\ c', "--speed", "max", "--set", 'x={"y": [1, "z"]}', "--gate")
    path = tmp_path / "shown.toml"
    ran = rt("config", "show", *given)
    path.write_text(ran.out, encoding="utf-8")

    wanted = load_settings(
        {"silence_ms": 700, "prompt": 'a "b" \\ c', "speed": "max", "gate": True, "extra": ['x.y=[1, "z"]']}, environ={}
    )
    assert load_settings({}, config=path, environ={}) == wanted
    assert wanted != Settings()


def test_show_reports_the_errors_of_a_run(config: Path) -> None:
    """The errors in file and options are the same as in a run."""
    config.write_text("[session]\nsilence = 5\n")
    bad_file = rt("config", "show", "--config", str(config))
    bad_option = rt("config", "show", "--chunk-ms", "5")

    assert (bad_file.exit, bad_file.out, len(bad_file.err.splitlines())) == (2, "", 1)
    assert "silence_ms" in bad_file.err
    assert (bad_option.exit, bad_option.out, len(bad_option.err.splitlines())) == (2, "", 1)


def test_path(config: Path, tmp_path: Path) -> None:
    """The default path, the variable, the option; stdout has nothing else."""
    own = rt("config", "path", env={"XDG_CONFIG_HOME": str(tmp_path / "home")})
    variable = rt("config", "path", env={"RT_CONFIG": str(config)})
    option = rt("config", "path", "--config", "other.toml", env={"RT_CONFIG": str(config)})

    assert own.out.endswith("config.toml\n")
    assert "rt config init" in own.err
    assert (variable.exit, variable.out, variable.err) == (0, f"{config}\n", "")
    assert option.out == "other.toml\n"


def test_path_as_json(config: Path) -> None:
    """The JSON says whether the file exists."""
    there = rt("config", "path", "--json", "--config", str(config))
    missing = rt("config", "path", "--json", "--config", str(config.parent / "no.toml"))

    assert there.events == [{"type": "config", "path": str(config), "exists": True}]
    assert (missing.events[0]["exists"], missing.err) == (False, "")


def test_init_writes_the_example_where_it_is_found(clean_environment: Path) -> None:
    """Folders are created; the file has the defaults; an existing file needs ``--force``."""
    ran = rt("config", "init")
    path = Path(ran.out.strip())

    assert (ran.exit, ran.err) == (0, "")
    assert path.is_relative_to(clean_environment)
    assert path.read_text(encoding="utf-8") == EXAMPLE
    assert {origin for _, origin in setting_lines().values()} == {"default"}

    path.write_text("# mine\n")
    again = rt("config", "init")
    assert (again.exit, again.out, len(again.err.splitlines())) == (2, "", 1)
    assert "--force" in again.err
    assert path.read_text() == "# mine\n"

    assert rt("config", "init", "--force").exit == 0
    assert path.read_text(encoding="utf-8") == EXAMPLE


def test_init_where_nothing_can_be_written(tmp_path: Path) -> None:
    """One line."""
    (tmp_path / "file").touch()
    ran = rt("config", "init", "--config", str(tmp_path / "file" / "config.toml"))

    assert (ran.exit, ran.out, len(ran.err.splitlines())) == (2, "", 1)


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (("model", "-m", "whisper-1"), "whisper-1"),
        (("silence-ms", "--silence-ms", "700"), "700"),
        (("RT_SILENCE_MS",), "500"),
        (("url",), "auto"),
        (("partials", "--partials"), "true"),
        (("speed", "--speed", "max"), "max"),
        (("extra", "--set", "a.b=1"), '{"a.b": 1}'),
    ],
    ids=" ".join,
)
def test_get_prints_one_value(clean_environment: Path, arguments: tuple[str, ...], value: str) -> None:
    """Bare, for scripts."""
    del clean_environment
    ran = rt("config", "get", *arguments)

    assert (ran.exit, ran.out, ran.err) == (0, f"{value}\n", "")


def test_get_of_a_key_that_is_none(clean_environment: Path) -> None:
    """One line."""
    del clean_environment
    ran = rt("config", "get", "modle")

    assert (ran.exit, ran.out, ran.err) == (2, "", "rt: no key modle: did you mean model?\n")


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script is the editor")
def test_edit_opens_the_file_in_the_editor(clean_environment: Path, tmp_path: Path) -> None:
    """A missing file is the example first; a failing editor is said."""
    del clean_environment
    editor = tmp_path / "my editor"
    editor.write_text('#!/bin/sh\necho "edited $1 $2"\nexit "${CODE:-0}"\n')
    editor.chmod(0o755)
    path = tmp_path / "c.toml"
    env = {"EDITOR": f"'{editor}' -x", "VISUAL": ""}

    ran = rt("config", "edit", "--config", str(path), env=env)
    assert (ran.exit, ran.err) == (0, "")
    assert ran.out.splitlines()[-1] == f"edited -x {path}"
    assert path.read_text(encoding="utf-8") == EXAMPLE

    failed = rt("config", "edit", "--config", str(path), env={**env, "CODE": "3"})
    assert (failed.exit, failed.err) == (2, "rt: the editor ended with 3: see above\n")
    spoiling = tmp_path / "spoils"
    spoiling.write_text('#!/bin/sh\necho "[session]\nsilence_ms = much" > "$1"\n')
    spoiling.chmod(0o755)
    spoilt = rt("config", "edit", "--config", str(path), env={"EDITOR": str(spoiling), "VISUAL": ""})
    assert (spoilt.exit, spoilt.err) == (2, f"rt: {path}:2: not TOML: Invalid value\n")
    none = rt("config", "edit", "--config", str(path), env={"EDITOR": "", "VISUAL": ""})
    assert (none.exit, len(none.err.splitlines())) == (2, 1)
    missing = rt("config", "edit", "--config", str(path), env={"EDITOR": "/nowhere/editor", "VISUAL": ""})
    assert (missing.exit, len(missing.err.splitlines())) == (2, 1)
