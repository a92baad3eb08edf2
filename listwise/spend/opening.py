"""Which ledger a run uses, and what to do where there can be none."""

from __future__ import annotations

from pathlib import Path

from listwise.errors import ConfigError
from listwise.log import get_logger
from listwise.spend.ledger import Ledger, MemoryLedger
from listwise.spend.purse import Caps
from listwise.spend.schema import default_path
from listwise.spend.sqlite import SqliteLedger

_log = get_logger(__name__)


def open_ledger(chosen: str | None, caps: Caps) -> Ledger:
    """The ledger in a file, or in memory for ``off``.

    Where nobody chose a file and the usual place cannot be written, spending is counted in memory, as long as no
    cap holds beyond the run.

    Raises:
        ConfigError: the file cannot be used, and it was chosen or is needed.
    """
    if chosen == "off":
        return MemoryLedger()
    try:
        return SqliteLedger(Path(chosen) if chosen else default_path())
    except ConfigError as error:
        if chosen or caps.last:
            raise
        _log.warning("spending is counted in memory only, and not kept", why=str(error))
        return MemoryLedger()
