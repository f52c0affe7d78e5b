"""Choose where the key comes from, and to which host it may go. Pure: :mod:`rt_cli.keys` fetches the key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.errors import RefusedError, UsageError
from rt_cli.protocol.dialects import OPENAI, owner_of
from rt_cli.protocol.endpoint.openai_base import openai_base
from rt_cli.protocol.endpoint.url import parse_address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rt_cli.protocol.endpoint.url import Address
    from rt_cli.settings import EndpointSettings

OWN_VARIABLE = "RT_API_KEY"
"""Variable with the key for the URL of the settings, for any host."""


@dataclass(frozen=True, slots=True)
class KeyVariable:
    """A key in an environment variable."""

    name: str


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A key that is the whole content of a file."""

    path: str


@dataclass(frozen=True, slots=True)
class KeyCommand:
    """A key that is the whole output of a command."""

    command: str


KeySource = KeyVariable | KeyFile | KeyCommand


def key_source(settings: EndpointSettings, address: Address, environ: Mapping[str, str]) -> KeySource | None:
    """Find the key for an address; None if there is no key and the address needs none.

    Order: the file or command of the settings; else only the variable of the profile, if the profile names one; else
    ``RT_API_KEY``, if the URL comes from no profile; else the provider's variable, only for the provider's hosts, and
    OpenAI's also for the URL of ``OPENAI_BASE_URL``, if that is the URL in use.

    Raises:
        UsageError: Both a file and a command.
        RefusedError: No key for a provider's host, or for a profile that names a variable.
    """
    if settings.api_key_file and settings.api_key_cmd:
        raise UsageError("both a key file and a key command", "give one of --api-key-file and --api-key-cmd")
    if settings.api_key_file:
        return KeyFile(settings.api_key_file)
    if settings.api_key_cmd:
        return KeyCommand(settings.api_key_cmd)
    variables = _variables(settings, address, environ)
    for name in variables:
        if environ.get(name, "").strip():
            return KeyVariable(name)
    if variables in ((), (OWN_VARIABLE,)) or address.credentials is not None:
        return None
    raise missing_key(address.host, variables[-1])


def _variables(settings: EndpointSettings, address: Address, environ: Mapping[str, str]) -> tuple[str, ...]:
    if settings.key_env:
        return (settings.key_env,)
    if settings.url is None and (base := openai_base(environ)) is not None:
        base_address = parse_address(base, settings.dialect)
        if (base_address.host, base_address.port) == (address.host, address.port):
            return (OPENAI.key_variable,)
    own = (OWN_VARIABLE,) if settings.url is not None and settings.profile is None else ()
    provider = address.dialect if address.dialect.owns(address.host) else owner_of(address.host)
    return own if provider is None else (*own, provider.key_variable)


def missing_key(host: str, variable: str) -> RefusedError:
    """Return the error for a host that needs a key, when there is none."""
    return RefusedError(f"no key for {host}", f"set {variable}, or rt login", code="missing_key")


def clean_key(text: str, origin: str) -> str:
    """Strip white space around a key.

    Args:
        text: Content of the variable or file, or output of the command.
        origin: Name of the source for the error message, which never shows the key.

    Raises:
        UsageError: The key is empty, or not printable ASCII and so not valid in a header.
    """
    key = text.strip()
    if not key:
        raise UsageError(f"the key from {origin} is empty", "it must be the key and nothing else")
    if not (key.isascii() and key.isprintable()):
        raise UsageError(
            f"the key from {origin} has characters that no key has", "it must be one line: the key and nothing else"
        )
    return key
