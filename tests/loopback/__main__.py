"""Run a scripted server as a process of its own: prints its address, answers until it is interrupted."""

from __future__ import annotations

import argparse
import contextlib
import re

from tests.loopback import Asked, ScriptedServer


def in_reverse(asked: Asked) -> str:
    """All identifiers of the prompt, the last passage first."""
    identifiers = sorted({int(digits) for digits in re.findall(r"\[(\d+)\]", asked.prompt)}, reverse=True)
    return " > ".join(f"[{identifier}]" for identifier in identifiers)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.loopback", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="default: any free one")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="time that each answer takes")
    parser.add_argument("--answer", help="what to answer; default: the identifiers of the prompt, last one first")
    options = parser.parse_args()
    fixed: str | None = options.answer
    script = in_reverse if fixed is None else fixed
    with ScriptedServer(script, delay_s=options.delay_ms / 1000, port=options.port) as server:
        print(server.base_url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.wait()


if __name__ == "__main__":
    main()
