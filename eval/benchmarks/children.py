"""Runs a command and says what it took."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LISTWISE = (sys.executable, "-c", "import sys; from listwise.cli import main; sys.exit(main())")
"""Our command line, in this environment."""
CHECKOUT = Path(__file__).resolve().parents[2]
LIMIT_S = 600.0


@dataclass(frozen=True, slots=True)
class Spent:
    """What a finished command took."""

    wall_s: float
    cpu_s: float
    """User and system time of the command's process and the children it waited for."""


class CommandFailed(Exception):
    """A command exited with an error; the message ends with what it wrote to standard error."""


def loopback_environment() -> dict[str, str]:
    """This environment without proxies and keys of the user's, and with a key for the loopback server."""
    own = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {**own, "OPENAI_API_KEY": "loopback", "NO_PROXY": "127.0.0.1"}


def run(command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> Spent:
    """Run a command to its end.

    Raises:
        CommandFailed: it exited with an error, or took longer than `LIMIT_S`.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=CHECKOUT,
        env=dict(environment or loopback_environment()),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    limit = threading.Timer(LIMIT_S, process.kill)
    limit.start()
    try:
        with process.stderr:
            said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
    finally:
        limit.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        last = said.decode(errors="replace").strip()[-2000:]
        raise CommandFailed(f"{' '.join(command)}\nexit status {process.returncode}\n{last}")
    return Spent(time.perf_counter() - started, usage.ru_utime + usage.ru_stime)
