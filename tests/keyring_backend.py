"""A backend of the keyring library: keys in a file named by a variable; it fails on request."""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

FILE = "TEST_KEYRING_FILE"


class FileKeyring(KeyringBackend):
    """Keys by service and name, in a file."""

    name = "a keyring of the tests"
    priority = 1  # type: ignore[assignment] # the library declares a property of the class

    def get_password(self, service: str, username: str) -> str | None:
        """The key, if there is one."""
        return self._keys.get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        """Store a key."""
        self._write(self._keys | {f"{service}/{username}": password})

    def delete_password(self, service: str, username: str) -> None:
        """Remove a key."""
        keys = self._keys
        if keys.pop(f"{service}/{username}", None) is None:
            raise PasswordDeleteError("not there")
        self._write(keys)

    @property
    def _keys(self) -> dict[str, str]:
        path = Path(os.environ[FILE])
        return json.loads(path.read_text()) if path.exists() else {}

    def _write(self, keys: dict[str, str]) -> None:
        Path(os.environ[FILE]).write_text(json.dumps(keys))


class LockedKeyring(FileKeyring):
    """A keyring that stays locked."""

    def get_password(self, service: str, username: str) -> str | None:  # noqa: ARG002 - the library's
        """Refuse."""
        raise KeyringLocked("the collection is locked")

    def set_password(self, service: str, username: str, password: str) -> None:  # noqa: ARG002
        """Refuse, and repeat the key in the error message."""
        raise KeyringLocked(f"cannot store {password}")
