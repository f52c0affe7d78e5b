"""Fetch a key from its :mod:`rt_cli.protocol.endpoint.key_source`: variable, file, command, else the keyring."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

from rt_cli.config.config_file import expand_home
from rt_cli.config.secret_file import read_secret_file
from rt_cli.errors import RefusedError, UsageError
from rt_cli.masking import protect
from rt_cli.protocol.endpoint.key_source import KeyFile, KeySource, KeyVariable, clean_key, key_source
from rt_cli.protocol.endpoint.url import parse_address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rt_cli.protocol.endpoint.url import Address
    from rt_cli.settings import EndpointSettings, SessionType

COMMAND_DEADLINE_S = 60.0
"""Long, because a password store may prompt for a passphrase."""
_LARGEST_OUTPUT = 1 << 16


def find_key(
    settings: EndpointSettings,
    url: str,
    environ: Mapping[str, str],
    *,
    conversation: bool = False,
    session_type: SessionType | None = None,
) -> str | None:
    """Return the key for a URL, or None if the URL needs none. Blocks on files, commands and the keyring.

    The keyring of the system is the last source. It is not used for unencrypted connections.

    From here on no output shows the key. The kind of the sessions decides which URLs are valid.

    Raises:
        UsageError: An invalid URL; a file or command without a key.
        RefusedError: The host needs a key, and no key is configured.
    """
    address = parse_address(url, settings.dialect, conversation=conversation, session_type=session_type)
    key = _find_key(settings, address, environ)
    protect([] if key is None else [key])
    return key


def _find_key(settings: EndpointSettings, address: Address, environ: Mapping[str, str]) -> str | None:
    try:
        source = key_source(settings, address, environ)
    except RefusedError:
        if (key := _keyring_key(settings, address)) is None:
            raise
        return key
    return _keyring_key(settings, address) if source is None else read_key(source, environ)


def _keyring_key(settings: EndpointSettings, address: Address) -> str | None:
    if address.scheme != "wss" or address.credentials is not None:
        return None
    from rt_cli.keys.keyring import accounts_of, stored_key

    key = stored_key(accounts_of(address, settings.profile))
    return None if key is None else clean_key(key, "the keyring")


def read_key(source: KeySource, environ: Mapping[str, str]) -> str:
    """Read and clean a key. Raises UsageError, whose message names the source and never contains the key."""
    if isinstance(source, KeyVariable):
        return clean_key(environ.get(source.name, ""), source.name)
    if isinstance(source, KeyFile):
        return read_secret_file(expand_home(source.path), "key", "--api-key-file")
    return clean_key(_run(source.command), "the key command")


def _run(command: str) -> str:
    try:
        # No shell: the command runs exactly as configured. No stdin: it may carry the sound of this run.
        process = subprocess.run(  # noqa: S603 - the user's own command, from the user's own configuration
            shlex.split(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=True,
            timeout=COMMAND_DEADLINE_S,
        )
    except (OSError, ValueError, IndexError) as exc:
        problem = getattr(exc, "strerror", None) or "it is no command"
        raise UsageError(f"the key command cannot run: {problem}", "check --api-key-cmd") from None
    except subprocess.CalledProcessError as exc:
        raise UsageError(f"the key command failed with status {exc.returncode}", "run it by hand") from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"the key command took more than {COMMAND_DEADLINE_S:g} s", "run it by hand") from None
    return process.stdout[:_LARGEST_OUTPUT].decode("utf-8", "replace")
