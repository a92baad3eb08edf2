"""API keys: made, kept and checked.

They are kept in a private file of their own, not in the ledger: the ledger is copied around for reports and belongs
to everybody who spends, its schema is shared with other versions, and the key of a client is neither's business.
What a key may spend is in the ledger, as caps of the account that bears the key's name.

A key is ``lw_ID_SECRET`` with a secret of 256 random bits, of which the file has the salted SHA-256: a slow hash is
for secrets that can be guessed.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from listwise.errors import ConfigError, InputError
from listwise.log import get_logger
from listwise.policy import Policy

_log = get_logger(__name__)

PREFIX = "lw"


@dataclass(frozen=True, slots=True)
class Key:
    """One key, without its secret."""

    id: str
    name: str
    """The account that it spends from; several keys may have the same."""
    salt: str
    sha256: str
    made: str
    rate: int | None = None
    """Requests in a minute; None is no limit."""
    concurrency: int | None = None
    """Requests at a time."""
    revoked: str | None = None
    """When, if it was."""

    def opens(self, secret: str) -> bool:
        """Whether the secret is this key's; takes as long either way."""
        return hmac.compare_digest(_digest(self.salt, secret), self.sha256)


_KEYS = TypeAdapter(list[Key])
_NOBODY = Key("", "", "00", "0" * 64, "")
"""Compared with where there is no such key, so that it takes as long."""


def default_path() -> Path:
    """``$LISTWISE_KEYS``, else ``listwise/keys.json`` in the user's state folder."""
    if own := os.environ.get("LISTWISE_KEYS"):
        return Path(own)
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "listwise" / "keys.json"


class KeyFile:
    """The keys in a file that only its user can read. Changes by several processes at once all happen."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Key]:
        """All keys, revoked ones included, oldest first; none where there is no file.

        Raises:
            ConfigError: the file cannot be read, or is no file of keys.
        """
        try:
            return _KEYS.validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be read: {error.strerror}") from error
        except ValidationError:
            raise ConfigError(f"{self.path}: not a file of keys: `listwise keys add` makes one") from None

    def add(self, name: str, *, rate: int | None = None, concurrency: int | None = None) -> tuple[Key, str]:
        """Make a key for an account; the text that is returned with it is nowhere else.

        Raises:
            ConfigError: no account can have that name.
        """
        Policy.of(account=name)
        secret, salt = secrets.token_urlsafe(32), secrets.token_hex(16)
        with self._changing() as keys:
            taken = {key.id for key in keys}
            number = next(each for each in iter(lambda: secrets.token_hex(4), "") if each not in taken)
            made = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
            key = Key(number, name, salt, _digest(salt, secret), made, rate, concurrency)
            keys.append(key)
        return key, f"{PREFIX}_{number}_{secret}"

    def revoke(self, named: str) -> Sequence[Key]:
        """Revoke the key with that id, or all keys of that name.

        Raises:
            InputError: there is none that was not revoked already.
        """
        when = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        with self._changing() as keys:
            gone = [key for key in keys if named in (key.id, key.name) and key.revoked is None]
            if not gone:
                raise InputError(f"no key {named!r} that could be revoked", path=self.path)
            keys[:] = [replace(key, revoked=when) if key in gone else key for key in keys]
        return gone

    @contextmanager
    def _changing(self) -> Iterator[list[Key]]:
        """The keys, to be changed; nothing is written where that fails."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.path.with_name(f"{self.path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = self.read()
            yield keys
            self._write(keys)
        finally:
            os.close(lock)

    def _write(self, keys: Sequence[Key]) -> None:
        """Replace the file as a whole."""
        beside = self.path.with_name(f"{self.path.name}.new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump([asdict(key) for key in keys], file, indent=1)
            file.flush()
            os.fsync(descriptor)
        beside.replace(self.path)


class KeyRing:
    """The keys of a file as of now: what changes in it holds for the next request.

    A file that cannot be read any more leaves the keys as they were; one that is gone leaves none.
    """

    def __init__(self, file: KeyFile) -> None:
        self._file = file
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[str, Key] = {}

    def opened_by(self, text: str) -> Key | None:
        """The key that a client showed; None where it is none, or was revoked."""
        self._look()
        prefix, _, rest = text.partition("_")
        number, _, secret = rest.partition("_")
        key = self._keys.get(number, _NOBODY) if prefix == PREFIX else _NOBODY
        return key if key.opens(secret) and key is not _NOBODY and key.revoked is None else None

    def _look(self) -> None:
        try:
            now = os.stat(self._file.path)
            seen = (now.st_mtime_ns, now.st_ino, now.st_size)
        except FileNotFoundError:
            self._seen, self._keys = None, {}
            return
        except OSError as error:
            _log.warning("the keys cannot be read: those read before hold", why=str(error.strerror))
            return
        if seen == self._seen:
            return
        try:
            self._keys = {key.id: key for key in self._file.read()}
            self._seen = seen
        except ConfigError as error:
            _log.warning("the keys cannot be read: those read before hold", why=str(error))


def _digest(salt: str, secret: str) -> str:
    return hashlib.sha256(bytes.fromhex(salt) + secret.encode("utf-8", "replace")).hexdigest()
