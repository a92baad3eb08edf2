"""How commands get at a cache: with patience, without mending it on the way, and with errors a user can act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from listwise.cache.connecting import Damaged, Superseded, Unusable
from listwise.cache.database import Database
from listwise.cache.files import current
from listwise.cache.opening import found
from listwise.errors import ConfigError

PATIENCE_S = 60.0
"""How long a command waits for the locks of others."""


@contextmanager
def in_use(directory: Path) -> Iterator[Database | None]:
    """The database in use, for the time of a command; None where there is no cache."""
    with refused(directory):
        if current(directory) is None:
            yield None
            return
        with closing(found(directory, PATIENCE_S)) as database:
            yield database


@contextmanager
def refused(directory: Path) -> Iterator[None]:
    """Raise what goes wrong with the cache as a `ConfigError` that says what to do."""
    try:
        yield
    except Damaged as error:
        raise ConfigError(f"{error}; `listwise cache verify` sets it aside and copies what can be read") from error
    except (Unusable, Superseded, OSError) as error:
        raise _unusable(directory, error) from error


def _unusable(directory: Path, error: Exception) -> ConfigError:
    why = str(error) or "it was set aside meanwhile; run the command again"
    return ConfigError(f"the answer cache in {directory} cannot be used: {why}")
