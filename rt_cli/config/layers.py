"""Merge options, environment and config file to settings.

The layers, lowest first: defaults, tables of the file, profile, ``RT_*`` variables, options.
"""

from __future__ import annotations

import os
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple

from rt_cli.config.config_file import Document, read_document
from rt_cli.config.result_format import format_of_file, format_of_name
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
_LONGEST_VALUE = 40


class LayerValue(NamedTuple):
    """A converted value and its origin."""

    value: Any
    origin: str
    """``file``, ``profile NAME``, a variable name, or an option name."""


Layer = dict[str, LayerValue]
"""Values by key name."""


def settings_of(values: dict[str, Any]) -> Settings:
    """Return the settings of a run, from options by parameter name.

    Raises:
        UsageError: Two options contradict each other, or a value is wrong.
    """
    json = values.pop("json", None)
    arguments = loader_arguments(values)
    if json:
        values["format"] = _one_format(values["format"], "json", "--json")
    return load_settings(**arguments)


def loader_arguments(values: dict[str, Any]) -> dict[str, Any]:
    """Convert options to keyword arguments of :func:`effective_values`. Raises UsageError."""
    if values.get("encoding") is not None:
        from rt_cli.audio.pcm import parse_encoding

        values["encoding"] = parse_encoding(values["encoding"])
    if values.get("output") is not None:
        _read_output(values)
    if values.get("local") and values.get("url") is not None:
        raise UsageError("both --local and --url", "give one of them")
    config, profile = values.pop("config"), values.pop("profile")
    return {"flags": values, "config": config, "profile": profile, "environ": os.environ}


def _read_output(values: dict[str, Any]) -> None:
    """Read ``--output``: a format is for stdout, a file has the format of its ending."""
    named = values["output"]
    kind = format_of_name(named)
    values["output"] = None if kind else named
    if kind is None:
        kind = format_of_file(named)
    values["format"] = _one_format(values.get("format"), kind, f"--output {printable(named)}")


def _one_format(first: str | None, second: str, option: str) -> str:
    """Return the format that two options agree on. Raises UsageError."""
    if first is not None and format_of_name(first) not in {None, second}:
        raise UsageError(f"two formats, {printable(first)} and {second} ({option})", "give one of them")
    return second if first is None or format_of_name(first) else first


def load_settings(
    flags: Mapping[str, object], *, config: Path | None = None, profile: str | None = None, environ: Mapping[str, str]
) -> Settings:
    """Return the settings of a run: :func:`effective_values`, and defaults for all other keys."""
    return _build(effective_values(flags, config=config, profile=profile, environ=environ))


def effective_values(
    flags: Mapping[str, object], *, config: Path | None = None, profile: str | None = None, environ: Mapping[str, str]
) -> Layer:
    """Merge all layers, and return the effective values without the defaults.

    Args:
        flags: Options by key name; None for an absent option. ``extra`` is a list of ``path=value``.
        config: The config file; None for ``RT_CONFIG``, else the file in the user's config folder, if it exists.
        profile: The profile; None for the file's ``default_profile``, unless options or environment select an
            endpoint.
        environ: The environment.

    Raises:
        UsageError: An unreadable file, invalid TOML, an unknown table, key or profile, or an invalid value. The message
            names file, line and key, or the variable, or the option.
    """
    document = read_document(config, environ)
    tables, profiles = _read_tables(document), _read_profiles(document)
    invocation = _read_environment(environ) | _read_flags(flags)
    if profile is None and not _value(invocation, "local") and _value(invocation, "url") is None:
        profile = _default_profile(document)
    chosen = {} if profile is None else _pick_profile(document, profiles, profile)
    return _merge([tables, chosen, invocation])


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
            _reject_unknown(document, (table,), [*names, *_BESIDE_TABLES])
        if not isinstance(content, dict):
            document.reject((table,), "must be a table", f"write [{table}]")
        known = {name for name, key in keys.items() if key.table == table and key.declared.only is None}
        layer |= _read_content(document, (table,), content, known, origin="file")
    if _value(layer, "encoding") == "s16le":
        del layer["encoding"]  # the example file of versions before 0.2 states this default: nobody chose it
    return layer


def _read_profiles(document: Document) -> dict[str, Layer]:
    known = {name for name, key in settings_keys().items() if key.declared.only != "rt"}
    profiles = document.data.get("profiles", {})
    if not isinstance(profiles, dict):
        document.reject(("profiles",), "must be a table", "write [profiles.NAME]")
    layers = {}
    for name, content in profiles.items():
        if not isinstance(content, dict):
            document.reject(("profiles", name), "must be a table", f"write [profiles.{name}]")
        layers[name] = _read_content(document, ("profiles", name), content, known, origin=f"profile {name}")
    return layers


def _read_content(
    document: Document, table: tuple[str, ...], content: Mapping[str, Any], known: set[str], *, origin: str
) -> Layer:
    layer: Layer = {}
    for name, raw in content.items():
        if name not in known:
            _reject_unknown(document, (*table, name), known)
        try:
            layer[name] = LayerValue(convert(settings_keys()[name], raw), origin)
        except ValueError as exc:
            document.reject((*table, name), f"is {_display(raw, name)}", f"it must {exc}")
    return layer


def _reject_unknown(document: Document, path: tuple[str, ...], known: Collection[str]) -> Never:
    name = path[-1]
    hint = did_you_mean(name, known)
    key = settings_keys().get(name)
    if hint is None and len(path) == 1:
        hint = f"there are {', '.join(sorted(known))}"
    elif hint is None and key is not None and key.declared.only != "rt":
        hint = "it belongs in a profile" if key.declared.only else f"it belongs in [{key.table}]"
    document.reject(path, "is unknown", hint)


def _default_profile(document: Document) -> str | None:
    name = document.data.get("default_profile")
    if name is not None and not isinstance(name, str):
        document.reject(("default_profile",), f"is {_display(name)}", "it must be the name of a profile")
    return name


def _pick_profile(document: Document, profiles: Mapping[str, Layer], name: str) -> Layer:
    if name not in profiles:
        listing = f"there are {', '.join(profiles)}" if profiles else f"there are none in {document.path}"
        hint = did_you_mean(name, profiles) or printable(listing)
        raise UsageError(f"unknown profile {name!r}", hint, code="config")
    layer = profiles[name]
    return layer | {"profile": LayerValue(name, f"profile {name}")} if _value(layer, "url") is not None else layer


def _read_environment(environ: Mapping[str, str]) -> Layer:
    layer: Layer = {}
    for name, key in settings_keys().items():
        # Scripts and CI set variables to an empty text for "not set".
        if key.variable is not None and environ.get(key.variable, "").strip():
            layer[name] = _convert_value(key, environ[key.variable], key.variable)
    return layer


def _read_flags(flags: Mapping[str, object]) -> Layer:
    keys = settings_keys()
    values = {name: value for name, value in flags.items() if value is not None}
    if has_credentials(values.get("proxy")):
        problem = "--proxy with a password can be read by everyone on this machine"
        raise UsageError(problem, "put it into HTTPS_PROXY, RT_PROXY or the config file")
    return {
        name: _convert_value(keys[name], value, next(iter(keys[name].declared.flags), name))
        for name, value in values.items()
    }


def _convert_value(key: Key, raw: object, origin: str) -> LayerValue:
    try:
        return LayerValue(convert(key, raw), origin)
    except ValueError as exc:
        raise UsageError(f"{origin} is {_display(raw, key.name)}", f"it must {exc}") from None


def _merge(layers: Iterable[Layer]) -> Layer:
    """Merge layers, the lowest first. A layer with a URL discards from those below what belongs to their URL."""
    keys = settings_keys()
    values: Layer = {}
    for layer in layers:
        if _value(layer, "url") is not None:
            values = {name: value for name, value in values.items() if not keys[name].declared.belongs_to_url}
        elif _value(layer, "local"):
            values.pop("price_per_minute", None)
        values |= {name: _override(values.get(name), value) for name, value in layer.items()}
    return values


def _override(below: LayerValue | None, value: LayerValue) -> LayerValue:
    """Return a value that overrides the one below it. Tables are concatenated: later entries take precedence."""
    if below is None or not isinstance(value.value, tuple):
        return value
    return LayerValue((*below.value, *value.value), f"{below.origin}, {value.origin}")


def _build(values: Layer) -> Settings:
    keys = settings_keys()
    tables: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        tables.setdefault(keys[name].table, {})[keys[name].field] = value.value
    if "url" in values:
        origin = values["url"].origin
        tables["endpoint"]["url_origin"] = "the config file" if origin == "file" else origin
    classes: dict[str, Any] = {table.name: table.type for table in fields(Settings)}
    return Settings(**{table: classes[table](**content) for table, content in tables.items()})


def _display(raw: object, name: str = "") -> str:
    if name == "headers":
        return "***"
    values = raw if name == "extra" and isinstance(raw, list) else [raw]
    try:
        text = masked(", ".join(map(repr, values)))
    except ValueError:  # Python writes no number of thousands of digits
        text = "a very long number"
    return printable(text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}...")
