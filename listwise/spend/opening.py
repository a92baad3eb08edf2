"""Which ledger a run uses, and what to do where there can be none."""

from __future__ import annotations

import os
from pathlib import Path

from listwise.errors import ConfigError
from listwise.log import get_logger
from listwise.spend.ledger import Ledger, MemoryLedger
from listwise.spend.purse import Caps
from listwise.spend.schema import default_path
from listwise.spend.sqlite import SqliteLedger

_log = get_logger(__name__)


def open_ledger(chosen: str | None, caps: Caps, *, resumed: str | None = None) -> Ledger:
    """The ledger in a file, or in memory for ``off``.

    Where nobody chose a file, there is none yet, and none can be made, spending is counted in memory, as long as no
    cap holds beyond the process: one that is there may hold caps.

    Args:
        chosen: the file, or ``off``; None for the usual place.
        caps: those that must hold.
        resumed: the id of a run that other processes may have spent for.

    Raises:
        ConfigError: the file cannot be used, and it was chosen, is there, or is needed.
    """
    needed = caps.last or (caps.run is not None and resumed is not None)
    if chosen == "off":
        if needed:
            raise ConfigError(f"a budget that run {resumed!r} shares with other processes needs a ledger, not off")
        return MemoryLedger()
    path = Path(chosen) if chosen else default_path()
    try:
        return SqliteLedger(path)
    except ConfigError as error:
        if chosen or needed or os.environ.get("LISTWISE_LEDGER") or os.path.lexists(path):
            raise
        _log.warning("spending is counted in memory only, and not kept", why=str(error))
        return MemoryLedger()
