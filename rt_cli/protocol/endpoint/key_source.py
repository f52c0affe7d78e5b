"""Where a key comes from and where it may go. Pure: what is decided here is fetched by ``commands``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.errors import RefusedError, UsageError
from rt_cli.protocol.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rt_cli.protocol.endpoint.url import Address
    from rt_cli.settings import EndpointSettings

OWN_VARIABLE = "RT_API_KEY"
"""The key for the URL that was given, whatever its host."""


@dataclass(frozen=True, slots=True)
class KeyVariable:
    """The key is in an environment variable."""

    name: str


@dataclass(frozen=True, slots=True)
class KeyFile:
    """The key is all that a file holds."""

    path: str


@dataclass(frozen=True, slots=True)
class KeyCommand:
    """The key is all that a command prints."""

    command: str


KeySource = KeyVariable | KeyFile | KeyCommand


def key_source(settings: EndpointSettings, address: Address, environ: Mapping[str, str]) -> KeySource | None:
    """Where the key for this address is; None where there is none and none is needed.

    A file or a command that was named, then the variable that a profile names, each exclusively; then ``RT_API_KEY``,
    if the URL was given and is no profile's; then the provider's own variable, for the provider's own hosts alone.

    Raises:
        UsageError: Both a file and a command.
        RefusedError: A provider's host, or a profile that names a variable, and no key.
    """
    if settings.api_key_file and settings.api_key_cmd:
        raise UsageError("both a key file and a key command", "give one of --api-key-file and --api-key-cmd")
    if settings.api_key_file:
        return KeyFile(settings.api_key_file)
    if settings.api_key_cmd:
        return KeyCommand(settings.api_key_cmd)
    wanted = _variables(settings, address)
    for name in wanted:
        if environ.get(name, "").strip():
            return KeyVariable(name)
    if wanted in ((), (OWN_VARIABLE,)) or address.credentials is not None:
        return None
    raise missing_key(address.host, wanted[-1])


def _variables(settings: EndpointSettings, address: Address) -> tuple[str, ...]:
    if settings.key_env:
        return (settings.key_env,)
    own = (OWN_VARIABLE,) if settings.url is not None and settings.profile is None else ()
    provider = next((dialect.key_variable for dialect in DIALECTS.values() if dialect.owns(address.host)), None)
    return own if provider is None else (*own, provider)


def missing_key(host: str, variable: str) -> RefusedError:
    """The error for a host that wants a key, and has none."""
    return RefusedError(f"no key for {host}", f"set {variable}, or rt login", code="missing_key")


def clean_key(text: str, origin: str) -> str:
    """A key without the white space around it.

    Args:
        text: As it was read.
        origin: Where from, for the message, which never shows the key.

    Raises:
        UsageError: Empty, or with anything but printable ASCII inside: it could not go into a header.
    """
    key = text.strip()
    if not key:
        raise UsageError(f"the key from {origin} is empty", "it must be the key and nothing else")
    if not (key.isascii() and key.isprintable()):
        raise UsageError(
            f"the key from {origin} has characters that no key has", "it must be one line: the key and nothing else"
        )
    return key
