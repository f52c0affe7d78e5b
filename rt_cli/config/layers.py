"""From options, environment and config file to settings.

Layers, each over the one before: the defaults, the tables of the file, a profile, ``RT_*``, the options.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple, get_type_hints

from rt_cli.config.config_file import Document, read_document
from rt_cli.config.values import Key, convert, settings_keys
from rt_cli.errors import UsageError, did_you_mean
from rt_cli.protocol.endpoint.proxy import has_credentials
from rt_cli.protocol.sanitize import masked, printable
from rt_cli.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path
    from typing import Never

_BESIDE_TABLES = ("default_profile", "profiles")
_BELONGS_TO_URL = (
    *("local", "dialect", "api_key_file", "api_key_cmd", "key_env", "profile", "price_per_minute"),
    *("client_cert", "client_key", "insecure", "headers"),
)
"""Where a layer brings another URL, these stay behind: a key goes to the URL that it was written beside."""
_LONGEST_VALUE = 40
_OPTIONS = {"format": "--output", "extra": "--set", "headers": "--header"}
"""Options that are not called like their key."""


class Given(NamedTuple):
    """A converted value, and who gave it."""

    value: Any
    origin: str
    """``file``, ``profile NAME``, the name of a variable, or an option."""


Layer = dict[str, Given]
"""By the names of the keys."""


def settings_of(given: dict[str, Any]) -> Settings:
    """Settings from options by the names of their parameters.

    Raises:
        UsageError: Two options contradict each other, or a value is wrong.
    """
    if given.pop("json", None):
        if given["format"] not in (None, "json"):
            raise UsageError(f"both --json and --output {given['format']}", "give one of them")
        given["format"] = "json"
    return load_settings(**layers_of(given))


def layers_of(given: dict[str, Any]) -> dict[str, Any]:
    """The same options as the arguments of :func:`given_values`. Raises UsageError."""
    if given.get("encoding") is not None:
        from rt_cli.audio.pcm import parse_encoding

        given["encoding"] = parse_encoding(given["encoding"])
    config, profile = given.pop("config"), given.pop("profile")
    return {"flags": given, "config": config, "profile": profile, "environ": os.environ}


def load_settings(
    flags: Mapping[str, object], *, config: Path | None = None, profile: str | None = None, environ: Mapping[str, str]
) -> Settings:
    """The settings of a run: :func:`given_values`, and defaults for the others."""
    return _build(given_values(flags, config=config, profile=profile, environ=environ))


def given_values(
    flags: Mapping[str, object], *, config: Path | None = None, profile: str | None = None, environ: Mapping[str, str]
) -> Layer:
    """What counts of all that is given.

    Args:
        flags: Options by the names of their keys; None is not given. ``extra`` is a list of ``path=value``.
        config: The config file; None is ``RT_CONFIG``, else the user's own, which need not exist.
        profile: The profile to use; None is the file's ``default_profile``, unless options or environment choose an
            endpoint.
        environ: The environment.

    Raises:
        UsageError: A file that cannot be read or is no TOML, an unknown table, key or profile, a bad value; with file,
            line and key, or the variable, or the option.
    """
    document = read_document(config, environ)
    tables, profiles = _read_tables(document), _read_profiles(document)
    invocation = _read_environment(environ) | _read_flags(flags)
    if profile is None and not _value(invocation, "local") and _value(invocation, "url") is None:
        profile = _default_profile(document)
    chosen = {} if profile is None else _pick_profile(document, profiles, profile)
    return _merged([tables, chosen, invocation])


def _value(layer: Layer, name: str) -> Any:
    return layer[name].value if name in layer else None


def _read_tables(document: Document) -> Layer:
    keys = settings_keys()
    names = {key.table for key in keys.values()}
    layer: Layer = {}
    for table, content in document.data.items():
        if table in _BESIDE_TABLES:
            continue
        if table not in names:
            _complain_unknown(document, (table,), [*names, *_BESIDE_TABLES])
        if not isinstance(content, dict):
            document.complain((table,), "must be a table", f"write [{table}]")
        known = {name for name, key in keys.items() if key.table == table and key.only is None}
        layer |= _read_content(document, (table,), content, known, origin="file")
    return layer


def _read_profiles(document: Document) -> dict[str, Layer]:
    known = {name for name, key in settings_keys().items() if key.only != "rt"}
    profiles = document.data.get("profiles", {})
    if not isinstance(profiles, dict):
        document.complain(("profiles",), "must be a table", "write [profiles.NAME]")
    layers = {}
    for name, content in profiles.items():
        if not isinstance(content, dict):
            document.complain(("profiles", name), "must be a table", f"write [profiles.{name}]")
        layers[name] = _read_content(document, ("profiles", name), content, known, origin=f"profile {name}")
    return layers


def _read_content(
    document: Document, table: tuple[str, ...], content: Mapping[str, Any], known: set[str], *, origin: str
) -> Layer:
    layer: Layer = {}
    for name, raw in content.items():
        if name not in known:
            _complain_unknown(document, (*table, name), known)
        try:
            layer[name] = Given(convert(settings_keys()[name], raw), origin)
        except ValueError as exc:
            document.complain((*table, name), f"is {_shown(raw, name)}", f"it must {exc}")
    return layer


def _complain_unknown(document: Document, path: tuple[str, ...], known: Collection[str]) -> Never:
    name = path[-1]
    hint = did_you_mean(name, known)
    key = settings_keys().get(name)
    if hint is None and len(path) == 1:
        hint = f"there are {', '.join(sorted(known))}"
    elif hint is None and key is not None and key.only != "rt":
        hint = "it belongs in a profile" if key.only else f"it belongs in [{key.table}]"
    document.complain(path, "is unknown", hint)


def _default_profile(document: Document) -> str | None:
    name = document.data.get("default_profile")
    if name is not None and not isinstance(name, str):
        document.complain(("default_profile",), f"is {_shown(name)}", "it must be the name of a profile")
    return name


def _pick_profile(document: Document, profiles: Mapping[str, Layer], name: str) -> Layer:
    if name not in profiles:
        there = f"there are {', '.join(profiles)}" if profiles else f"there are none in {document.path}"
        hint = did_you_mean(name, profiles) or printable(there)
        raise UsageError(f"unknown profile {name!r}", hint, code="config")
    layer = profiles[name]
    return layer | {"profile": Given(name, f"profile {name}")} if _value(layer, "url") is not None else layer


def _read_environment(environ: Mapping[str, str]) -> Layer:
    layer: Layer = {}
    for name, key in settings_keys().items():
        variable = f"RT_{name.upper()}"
        # Set but empty is how scripts and CI say "not set". A table does not fit into a variable.
        if key.only is None and key.kind is not tuple and environ.get(variable, "").strip():
            layer[name] = _converted(key, environ[variable], variable)
    return layer


def _read_flags(flags: Mapping[str, object]) -> Layer:
    keys = settings_keys()
    given = {name: value for name, value in flags.items() if value is not None}
    if has_credentials(given.get("proxy")):
        problem = "--proxy with a password can be read by everyone on this machine"
        raise UsageError(problem, "put it into HTTPS_PROXY, RT_PROXY or the config file")
    return {
        name: _converted(keys[name], value, _OPTIONS.get(name, f"--{name.replace('_', '-')}"))
        for name, value in given.items()
    }


def _converted(key: Key, raw: object, origin: str) -> Given:
    try:
        return Given(convert(key, raw), origin)
    except ValueError as exc:
        raise UsageError(f"{origin} is {_shown(raw, key.name)}", f"it must {exc}") from None


def _merged(layers: Iterable[Layer]) -> Layer:
    values: Layer = {}
    for layer in layers:
        if _value(layer, "url") is not None:
            values = {name: given for name, given in values.items() if name not in _BELONGS_TO_URL}
        elif _value(layer, "local"):
            values.pop("price_per_minute", None)
        values |= {name: _added(values.get(name), given) for name, given in layer.items()}
    return values


def _added(below: Given | None, given: Given) -> Given:
    """A value over the one below it; tables add up, and the last word in them is the last layer's."""
    if below is None or not isinstance(given.value, tuple):
        return given
    return Given((*below.value, *given.value), f"{below.origin}, {given.origin}")


def _build(values: Layer) -> Settings:
    keys = settings_keys()
    tables: dict[str, dict[str, Any]] = {}
    for name, given in values.items():
        tables.setdefault(keys[name].table, {})[keys[name].field] = given.value
    classes = get_type_hints(Settings)
    return Settings(**{table: classes[table](**content) for table, content in tables.items()})


def _shown(raw: object, name: str = "") -> str:
    if name == "headers":
        return "***"
    given = raw if name == "extra" and isinstance(raw, list) else [raw]
    text = masked(", ".join(map(repr, given)))
    return printable(text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}...")
