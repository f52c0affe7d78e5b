"""From the options that were given to settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from rt_cli.config.layers import load_settings
from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from rt_cli.settings import Settings


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
    """The same options as :mod:`rt_cli.config.layers` takes them. Raises UsageError."""
    if given.get("encoding") is not None:
        from rt_cli.audio.pcm import parse_encoding

        given["encoding"] = parse_encoding(given["encoding"])
    config, profile = given.pop("config"), given.pop("profile")
    return {"flags": given, "config": config, "profile": profile, "environ": os.environ}
