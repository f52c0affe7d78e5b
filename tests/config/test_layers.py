"""Layers of settings: defaults, file, profile, environment, options; and their error messages."""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.config.config_file import config_path, line_of
from rt_cli.config.example import example
from rt_cli.config.layers import load_settings
from rt_cli.config.values import convert, settings_keys
from rt_cli.errors import UsageError
from rt_cli.settings import DeliverySettings, EndpointSettings, InputSettings, SessionSettings, Settings

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The path of the test's config file."""
    return tmp_path / "config.toml"


def load(
    config: Path, text: str, *, profile: str | None = None, environ: dict[str, str] | None = None, **flags: object
) -> Settings:
    """Load settings from a file with this text."""
    config.write_text(text, encoding="utf-8")
    return load_settings(flags, config=config, profile=profile, environ=environ or {})


def error_message(config: Path, text: str, **options: Any) -> str:
    """Return the error message for a file with this text, without its folder."""
    with pytest.raises(UsageError) as caught:
        load(config, text, **options)
    assert str(caught.value).isprintable()
    return str(caught.value).replace(f"{config.parent}/", "")


def test_nothing_configured_is_the_defaults() -> None:
    """Without a config file and options, all settings have their defaults."""
    assert load_settings({}, environ={}) == Settings()


def test_the_example_is_the_defaults() -> None:
    """Copying the example file changes no setting."""
    assert load_settings({}, config=EXAMPLE, environ={}) == Settings()


def test_the_example_has_every_key_and_no_other() -> None:
    """The example file has exactly the keys of the settings."""
    example = tomllib.loads(re.sub(r"(?m)^#(?=[a-z\[])", "", EXAMPLE.read_text(encoding="utf-8")))
    wanted: dict[str, set[str]] = {}
    for key in settings_keys().values():
        if key.declared.only is None:
            wanted.setdefault(key.table, set()).add(key.name)

    assert wanted == {table: set(content) for table, content in example.items()}


def test_the_example_states_no_value() -> None:
    """Every default is commented out: a default of a later version counts, and nobody has chosen the present one."""
    assert not any(tomllib.loads(EXAMPLE.read_text(encoding="utf-8")).values())


def test_the_example_states_the_defaults() -> None:
    """With all of its values uncommented it changes no setting."""
    text = re.sub(r"(?m)^#(?=[a-z\[])", "", example())
    keys = {key.name: key for key in settings_keys().values()}
    for content in tomllib.loads(text).values():
        for name, value in content.items():
            assert convert(keys[name], value) in {keys[name].default, ()}


def test_the_example_is_made_from_the_declarations() -> None:
    """The file on disk is what ``rt config init --force --config config.example.toml`` writes."""
    assert EXAMPLE.read_text(encoding="utf-8") == example()


def test_the_example_has_meaning_range_and_choices() -> None:
    """Of each key: the sentences of its declaration, its smallest and largest value, its choices, what auto means."""
    text = " ".join(line.lstrip("# ") for line in example().splitlines())
    for key in settings_keys().values():
        declared = key.declared
        if declared.only is None:
            before, _, after = text.partition(f"{declared.doc} ")
            assert after, key.name
            comment = before[-200:] + declared.doc + " " + after.partition(f"{key.name} = ")[0]
            words = [*key.choices, *([f"auto: {declared.auto}."] if key.optional else [])]
            words += [f"{bound:.10g}" for bound in (declared.low, declared.high) if math.isfinite(bound)]
            assert [word for word in words if word not in comment] == [], key.name


def test_the_commented_lines_of_the_example_are_valid() -> None:
    """The commented lines of the example file are valid without the comment signs."""
    text = EXAMPLE.read_text(encoding="utf-8")
    for start in (
        "default_profile",
        "[profiles",
        "url = ",
        "model = ",
        "key_env = ",
        "silence_ms = ",
        '"audio.',
        '"X-',
    ):
        text = text.replace(f"\n# {start}", f"\n{start}")
    text = text.replace("\n#[", "\n[")
    uncommented = tomllib.loads(text)

    assert uncommented["default_profile"] in uncommented["profiles"]
    assert uncommented["session"]["extra"]
    for name, profile in uncommented["profiles"].items():
        assert set(profile) <= set(settings_keys()), name


def test_each_layer_is_over_the_one_before(config: Path) -> None:
    """A value overrides the layers below it; absent values leave them unchanged."""
    text = """
        [session]
        silence_ms = 601
        prefix_ms = 602
        vad_threshold = 0.6
        language = "fi"
        [profiles.p]
        prefix_ms = 702
        vad_threshold = 0.7
        language = "pr"
    """
    environ = {"RT_VAD_THRESHOLD": "0.8", "RT_LANGUAGE": "en"}

    settings = load(config, text, profile="p", environ=environ, language="fl")

    assert settings.session == SessionSettings(silence_ms=601, prefix_ms=702, vad_threshold=0.8, language="fl")


def test_every_table_arrives(config: Path) -> None:
    """Each table is read, durations with and without units."""
    text = """
        [endpoint]
        url = "https://host"
        [input]
        duration = "2m"
        chunk_ms = "0.02s"
        [delivery]
        speed = "max"
        connect_timeout = 2
        drain_timeout = "250ms"
        [output]
        format = "json"
    """
    settings = load(config, text)

    assert settings.endpoint == EndpointSettings(url="https://host")
    assert settings.input == InputSettings(duration_s=120.0, chunk_ms=20)
    assert settings.delivery == DeliverySettings(speed=math.inf, connect_timeout_s=2.0, drain_timeout_s=0.25)
    assert settings.output == replace(Settings().output, format="json")


def test_auto_in_a_layer_undoes_the_layers_below(config: Path) -> None:
    """``auto`` restores the default."""
    assert load(config, '[session]\nlanguage = "de"\n', language="auto").session.language is None


def test_an_empty_variable_is_not_set(config: Path) -> None:
    """An empty variable counts as unset."""
    assert load(config, "", environ={"RT_MODEL": "", "RT_SILENCE_MS": " "}) == Settings()


def test_other_variables_are_ignored(config: Path) -> None:
    """``RT_DEBUG``, keys and the variables of other programs are ignored."""
    environ = {
        "RT_DEBUG": "1",
        "RT_API_KEY": "k",
        "RT_SOMETHING": "x",
        "RT_KEY_ENV": "X",
        "RT_PROFILE": "p",
        "RT_EXTRA": "x",
    }

    assert load(config, "", environ=environ) == Settings()


def test_a_false_option_is_not_absent(config: Path) -> None:
    """Only None means an absent option."""
    assert load(config, "[output]\npartials = true\n", partials=False).output.partials is False


@pytest.mark.parametrize(
    ("profile", "flags", "environ", "url"),
    [
        (None, {}, {}, "https://work"),
        ("lab", {}, {}, "https://lab"),
        (None, {"url": "https://flag"}, {}, "https://flag"),
        ("lab", {"url": "https://flag"}, {}, "https://flag"),
        (None, {}, {"RT_URL": "https://env"}, "https://env"),
        (None, {"local": True}, {}, "https://base"),
    ],
    ids=["default", "named", "option", "option over profile", "variable", "local"],
)
def test_default_profile(
    config: Path, profile: str | None, flags: dict[str, Any], environ: dict[str, str], url: str
) -> None:
    """An endpoint on the command line or in the environment disables the default profile."""
    text = """
        default_profile = "work"
        [endpoint]
        url = "https://base"
        [profiles.work]
        url = "https://work"
        model = "work"
        [profiles.lab]
        url = "https://lab"
    """
    settings = load(config, text, profile=profile, environ=environ, **flags)

    assert settings.endpoint.url == url
    assert settings.endpoint.model == ("work" if url == "https://work" else None)
    assert settings.endpoint.local is flags.get("local", False)


def test_profile_with_a_url_uses_its_own_key(config: Path) -> None:
    """A profile with a URL marks the settings with its name, so that only its own key is used."""
    endpoint = load(config, '[profiles.p]\nurl = "https://h"\nkey_env = "K"\n', profile="p").endpoint

    assert endpoint == EndpointSettings(url="https://h", key_env="K", profile="p")


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ('[endpoint]\nurl = "https://a"\napi_key_file = "f"\ndialect = "azure"\nlocal = true\n', {"url": "https://b"}),
        ('[profiles.p]\nurl = "https://a"\nkey_env = "K"\n', {"profile": "p", "url": "https://b"}),
        ('[profiles.p]\nurl = "https://a"\napi_key_cmd = "c"\n', {"profile": "p", "environ": {"RT_URL": "https://b"}}),
    ],
    ids=["table", "profile", "variable"],
)
def test_another_url_discards_the_key(config: Path, text: str, options: dict[str, Any]) -> None:
    """A layer with another URL discards the key of the layers below."""
    assert load(config, text, **options).endpoint == EndpointSettings(url="https://b")


def test_a_key_of_the_invocation_goes_with_the_url_of_the_invocation(config: Path) -> None:
    """Options and variables are one layer: a key and a URL from either belong together."""
    endpoint = load(config, "", environ={"RT_API_KEY_FILE": "f"}, url="https://b").endpoint

    assert endpoint == EndpointSettings(url="https://b", api_key_file="f")


def test_overrides_of_all_layers_add_up(config: Path) -> None:
    """Overrides are concatenated in the order of the layers; quoted and bare paths are equal."""
    text = """
        [session.extra]
        "a.b" = 1
        c.d = [1, 2]
        [profiles.p]
        extra = { e = "x" }
    """
    settings = load(config, text, profile="p", extra=["a.b=2", "f=low", 'g={"h":null}'])

    assert settings.session.extra == (
        ("a.b", 1),
        ("c.d", [1, 2]),
        ("e", "x"),
        ("a.b", 2),
        ("f", "low"),
        ("g", {"h": None}),
    )


MISTAKES = [
    ("[endpoint\n", "config.toml:1: not TOML: Expected ']' at the end of a table declaration"),
    ("[session]\nsilence_ms = \n", "config.toml:2: not TOML: Invalid value"),
    ("\n\nmodel", "config.toml:3: not TOML: Expected '=' after a key in a key/value pair"),
    ("[sesion]\n", "config.toml:1: sesion is unknown: did you mean session?"),
    (
        "x = 1\n",
        "config.toml:1: x is unknown: there are default_profile, delivery, endpoint, input, output, profiles, session",
    ),
    ("session = 3\n", "config.toml:1: session must be a table: write [session]"),
    ("[session]\nsilence = 5\n", "config.toml:2: [session] silence is unknown: did you mean silence_ms?"),
    ("[output]\n\n# x\nspeed = 2\n", "config.toml:4: [output] speed is unknown: it belongs in [delivery]"),
    ('[endpoint]\nkey_env = "K"\n', "config.toml:2: [endpoint] key_env is unknown: it belongs in a profile"),
    ('[endpoint]\nprofile = "K"\n', "config.toml:2: [endpoint] profile is unknown"),
    (
        '[endpoint]\napi_key = "sk-s3cr3t"\n',
        "config.toml:2: [endpoint] api_key is unknown: did you mean api_key_cmd?",
    ),
    (
        "[input]\nchunk_ms = 5\n",
        "config.toml:2: [input] chunk_ms is 5: it must be a whole number from 10 to 1000 (milliseconds; or with",
    ),
    ("[input]\nchannels = true\n", "config.toml:2: [input] channels is True: it must be a whole number from 1 to 64"),
    (
        '[output]\n  "format" = "xml"\n',
        "config.toml:2: [output] format is 'xml': it must be one of text, json",
    ),
    ("endpoint.model = 3\n", "config.toml:1: [endpoint] model is 3: it must be text, not empty, or auto"),
    ("endpoint = { model = 3 }\n", "config.toml:1: [endpoint] model is 3: it must be text, not empty, or auto"),
    ("[endpoint]\nlocal = 1\n", "config.toml:2: [endpoint] local is 1: it must be true or false"),
    ("[profiles]\np = 1\n", "config.toml:2: [profiles] p must be a table: write [profiles.p]"),
    ("profiles = 1\n", "config.toml:1: profiles must be a table: write [profiles.NAME]"),
    ("[profiles.p]\nmodle = 'x'\n", "config.toml:2: [profiles.p] modle is unknown: did you mean model?"),
    ("[profiles.p.session]\n", "config.toml:1: [profiles.p] session is unknown"),
    ("default_profile = 1\n", "config.toml:1: default_profile is 1: it must be the name of a profile"),
    (
        "[session.extra]\nx = 2000-01-01\n",
        "config.toml:1: [session] extra is {'x': datetime.date(2000, 1, 1)}: it must hold values that JSON has",
    ),
    ("[session]\nextra = 1\n", "config.toml:2: [session] extra is 1: it must be a table of path = value"),
]


@pytest.mark.parametrize(("text", "expected"), MISTAKES, ids=[text for text, _ in MISTAKES])
def test_a_mistake_is_named_with_file_line_and_key(config: Path, text: str, expected: str) -> None:
    """The message names file, line, key and a fix."""
    assert error_message(config, text).startswith(expected)


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("[profiles.work]\n", {"profile": "wrk"}, "unknown profile 'wrk': did you mean work?"),
        ("[profiles.work]\n", {"profile": "x"}, "unknown profile 'x': there are work"),
        ("", {"profile": "x"}, "unknown profile 'x': there are none in config.toml"),
        ('default_profile = "x"\n', {}, "unknown profile 'x': there are none in config.toml"),
        ("", {"environ": {"RT_SILENCE_MS": "soon"}}, "RT_SILENCE_MS is 'soon': it must be a whole number"),
        ("", {"environ": {"RT_PARTIALS": "maybe"}}, "RT_PARTIALS is 'maybe': it must be true or false"),
        ("", {"vad_threshold": 1.5}, "--vad-threshold is 1.5: it must be a number from 0 to 1"),
        ("", {"format": "xml"}, "--format is 'xml': it must be one of text, json"),
        ("", {"extra": ["novalue"]}, "--set is 'novalue': it must be written path=value"),
        ("", {"model": ""}, "--model is '': it must be text, not empty, or auto"),
    ],
    ids=["profile", "no such", "no profiles", "default", "number", "truth", "range", "output", "set", "empty"],
)
def test_mistake_outside_the_file_is_named(config: Path, text: str, options: dict[str, Any], expected: str) -> None:
    """The message names the variable, the option or the profile."""
    assert error_message(config, text, **options).startswith(expected)


def test_a_secret_in_the_wrong_place_is_not_shown(config: Path) -> None:
    """The message does not contain a secret from a wrong key."""
    assert "s3cr3t" not in error_message(config, '[output]\nformat = "sk-s3cr3t"\n')


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    """A file named by option or variable must exist."""
    missing = tmp_path / "no.toml"

    with pytest.raises(UsageError, match="cannot read the config file"):
        load_settings({}, config=missing, environ={})
    with pytest.raises(UsageError, match="cannot read the config file"):
        load_settings({}, environ={"RT_CONFIG": str(missing)})


def test_unknown_home_folder() -> None:
    """Without a home folder, ``~`` stays in the path, and the file does not exist."""
    with pytest.raises(UsageError, match="nobody-of-this-name"):
        load_settings({}, environ={"RT_CONFIG": "~nobody-of-this-name/c.toml"})


def test_the_variable_names_the_file(config: Path) -> None:
    """``RT_CONFIG`` works like the option."""
    config.write_text('[endpoint]\nmodel = "m"\n')

    assert load_settings({}, environ={"RT_CONFIG": str(config)}).endpoint.model == "m"


def test_the_users_own_file_is_found(clean_environment: Path) -> None:
    """The default path is in the platform's config folder."""
    path = config_path({})
    path.parent.mkdir(parents=True)
    path.write_text('[endpoint]\nmodel = "m"\n')

    assert path.is_relative_to(clean_environment)
    assert load_settings({}, environ={}).endpoint.model == "m"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a = 1\nb = '\xff'\n", ":2: not UTF-8"),
        (b"#" * (1 << 20) + b"#", "too large"),
        (b"x = " + b"[" * 100_000, "nested too deeply"),
        (b"[endpoint]\nmodel = '\x1b'\n", ":2: not TOML"),
    ],
    ids=["encoding", "size", "depth", "control character"],
)
def test_invalid_file_is_a_usage_error(config: Path, content: bytes, expected: str) -> None:
    """Invalid content is a UsageError."""
    config.write_bytes(content)

    with pytest.raises(UsageError, match=expected):
        load_settings({}, config=config, environ={})


@pytest.mark.parametrize("value", ["9" * 5000, "nan", "[" * 5000, "1979-05-27", "{a=1}", "0x" + "f" * 5000])
def test_any_value_of_toml_is_a_setting_or_a_usage_error(config: Path, value: str) -> None:
    """Also those that the TOML library itself cannot read."""
    config.write_text(f"[delivery]\nspeed = {value}\n")
    with pytest.raises(UsageError):
        load_settings({}, config=config, environ={})


def test_a_folder_is_no_config_file(tmp_path: Path) -> None:
    """A folder as config file is a UsageError."""
    with pytest.raises(UsageError, match="cannot read"):
        load_settings({}, config=tmp_path, environ={})


def test_byte_order_mark(config: Path) -> None:
    """A byte order mark is accepted."""
    config.write_bytes(b"\xef\xbb\xbf[endpoint]\r\nmodel = 'm'\r\n")

    assert load_settings({}, config=config, environ={}).endpoint.model == "m"


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("[a]\nx = 1\n[b]\nx = 2\n", ("b", "x"), 4),
        ("[a] # comment\n\n  x=1", ("a", "x"), 3),
        ("a.x = 1\n", ("a", "x"), 1),
        ("[ a . 'b' ]\n\"x\" = 1\n", ("a", "b", "x"), 2),
        ("[a]\nb = {x = 1}\n", ("a", "b", "x"), 2),
        ("[profiles.'my lab']\nurl = 1\n", ("profiles", "my lab", "url"), 2),
        ("x = 1\n", ("y",), None),
    ],
    ids=["table", "comment", "dotted", "quoted", "inline", "spaced", "absent"],
)
def test_the_line_of_a_key(text: str, path: tuple[str, ...], expected: int | None) -> None:
    """The line of a key, or of the nearest enclosing table."""
    assert line_of(text, path) == expected


toml_values: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()) | st.just({})
)


@given(st.dictionaries(st.sampled_from(sorted(settings_keys())), toml_values, max_size=5))
def test_any_value_is_a_setting_or_a_usage_error(flags: dict[str, Any]) -> None:
    """Any value is accepted with the declared type, or raises UsageError."""
    try:
        settings = load_settings(flags, config=EXAMPLE, environ={})
    except UsageError:
        return
    assert hash(settings.endpoint) is not None
    assert isinstance(settings.input.channels, int | None)
    assert isinstance(settings.delivery.connect_timeout_s, float)
    assert 0 <= settings.session.vad_threshold <= 1
