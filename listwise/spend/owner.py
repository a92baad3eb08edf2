"""Which process made a reservation, and whether it still lives."""

from __future__ import annotations

import os
import socket
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple


class Owner(NamedTuple):
    """A process, told apart from later ones with the same number."""

    host: str
    boot: str
    """Of the host's running since it was started; empty where the system does not say."""
    pid: int
    started: str
    """In the system's own clock; empty where the system does not say."""
    space: str
    """In which ``pid`` counts: containers of one host have their own; empty where the system does not say."""

    def __str__(self) -> str:
        return "|".join(map(str, self))

    @classmethod
    def parse(cls, text: str) -> Owner:
        """Read what ``str`` wrote."""
        host, boot, pid, started, space = text.split("|")
        return cls(host, boot, int(pid), started, space)

    @classmethod
    def of_this_process(cls) -> Owner:
        """The running process."""
        host, pid = socket.gethostname().replace("|", "_"), os.getpid()
        return cls(host, _boot(), pid, _started(pid), _space())

    def lives(self, here: Owner) -> bool | None:
        """Whether the process lives; None where that cannot be seen from where ``here`` is."""
        if self.host != here.host:
            return None
        if self.boot != here.boot:
            return False
        if self.space != here.space:
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return _started(self.pid) == self.started


@lru_cache(maxsize=1)
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _space() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Clock ticks from boot to a process's start; a zombie is as good as dead."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "zombie" if fields[0] in "ZX" else fields[19]
