"""A service on the loopback: uvicorn in a thread, over a real socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from fastapi import FastAPI

from listwise.policy import Policy
from listwise.serve.app import create_app
from listwise.serve.settings import Limits, OverCap, ServeSettings

QUERY = "why is the sky blue"
DOCUMENTS = [
    "Grass is green because of chlorophyll.",
    "Rayleigh scattering makes the sky blue: air scatters short waves most.",
    "Blue paint is made of cobalt.",
    "The capital of France is Paris.",
]


class Log:
    """Keeps the lines of an access log."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append({"event": event, **fields})


@dataclass(slots=True)
class Served:
    """A running service."""

    url: str
    app: FastAPI
    log: Log

    @property
    def service(self) -> Any:
        return self.app.state.service

    def client(self, **options: Any) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, timeout=30, verify=False, **options)


def settings(
    *policies: Policy,
    keys: Path | None = None,
    over_cap: OverCap = "local",
    log_queries: bool = False,
    **limits: Any,
) -> ServeSettings:
    """Policies are called ``default``, ``second``."""
    named = dict(zip(("default", "second"), policies or (Policy.of("offline"),), strict=False))
    return ServeSettings(named, "test-run", Limits(**limits), keys=keys, over_cap=over_cap, log_queries=log_queries)


@contextmanager
def served(chosen: ServeSettings) -> Iterator[Served]:
    """The service until the end of the block; it stops as if it was told to."""
    log = Log()
    app = create_app(chosen, log=log)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="on"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    try:
        while not server.started:
            thread.join(0.005)
            assert thread.is_alive(), "the service did not start"
        (socket,) = server.servers[0].sockets
        yield Served(f"http://127.0.0.1:{socket.getsockname()[1]}", app, log)
    finally:
        server.should_exit = True
        thread.join()
