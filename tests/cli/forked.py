"""The command line in a process of its own, forked from one that has loaded what commands load: starting Python and
importing SDKs is most of what a short command takes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import TemporaryDirectory

LOADED = ("tests.cli.warm", "listwise.cli", "listwise.cli.screen", "genai_prices")

_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.cli.forked", *LOADED])


Meanwhile = Callable[[], AbstractContextManager[object]]


class TooSlow(Exception):
    """The command did not end in time, and was killed."""


def run(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    stdin: str | None,
    timeout_s: float,
    meanwhile: Meanwhile = nullcontext,
) -> tuple[int, str, str]:
    """What a command printed, run with what ``meanwhile`` arranges in its process.

    Returns:
        Exit status, standard output, standard error.

    Raises:
        TooSlow: it did not end in time.
    """
    with TemporaryDirectory() as own:
        process = start(arguments, folder, environment, stdin, Path(own), meanwhile)
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TooSlow(" ".join(arguments))
        out, err = (Path(own, name).read_bytes().decode().replace("\r\n", "\n") for name in ("out", "err"))
        return process.exitcode, out, err


def start(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    stdin: str | None,
    own: Path,
    meanwhile: Meanwhile = nullcontext,
) -> ForkServerProcess:
    """A command that runs; it reads ``in`` of the folder ``own``, and writes ``out`` and ``err`` there."""
    files = [own / name for name in ("in", "out", "err")]
    files[0].write_bytes((stdin or "").encode())
    process = _CONTEXT.Process(
        target=_command,
        args=(list(arguments), str(folder), dict(environment), list(map(str, files)), meanwhile),
    )
    process.start()
    return process


def _command(
    arguments: list[str], folder: str, environment: dict[str, str], files: list[str], meanwhile: Meanwhile
) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, (name, mode) in enumerate(
        zip(files, (os.O_RDONLY, *[os.O_WRONLY | os.O_CREAT] * 2), strict=True)
    ):
        opened = os.open(name, mode, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(at, mode, buffering, encoding="utf-8", closefd=False)
        for at, mode, buffering in ((0, "r", -1), (1, "w", -1), (2, "w", 1))
    )
    sys.argv = ["listwise", *arguments]
    from listwise.cli import main

    try:
        with meanwhile():
            main()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
