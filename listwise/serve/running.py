"""Runs the service: one process, or several that share a socket, the cache, the ledger and their figures."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SOL_SOCKET, socket
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from listwise.errors import ConfigError
from listwise.serve import metrics
from listwise.serve.app import create_app
from listwise.serve.collecting import settle, uncollected
from listwise.serve.connections import Bounded, bounds_of, make_room
from listwise.serve.exporting import is_asked_for, sent_at_the_end, start_exporting
from listwise.serve.logs import failures_logged, log_as_json
from listwise.serve.service import Service
from listwise.serve.settings import ServeSettings

LAST_S = 5
"""Seconds for connections to end after the grace."""
HEALTH_S = 60
"""Seconds in which a worker must say that it lives; while it imports and loads models it cannot."""
AGAIN_S = 0.2
"""Between two signals, so that they do not count as one."""
IDLE_S = 15
"""Seconds that a connection may be kept without a request."""


def run(settings: ServeSettings, host: str, port: int) -> None:
    """Serve until told to stop (SIGTERM, SIGINT), which is a good end.

    Raises:
        ConfigError: a policy cannot work here, or the address cannot be had.
    """
    make_room(settings.limits)
    protocol: Any = partial(Bounded, bounds_of(settings.limits))
    config = uvicorn.Config(
        partial(worker_app, settings, logging.getLogger().level),
        factory=True,
        http=protocol,
        ws="none",
        host=host,
        port=port,
        workers=settings.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=LAST_S,
        timeout_worker_healthcheck=HEALTH_S,
        lifespan="on",
    )
    if settings.workers == 1:
        config.load()
    else:
        is_asked_for()
        Service(settings).close()  # says what cannot work here and now, not in each worker
    listening = _bound(config)
    shown = f"[{host}]" if ":" in host else host
    print(f"listwise: serving at http://{shown}:{listening.getsockname()[1]}", file=sys.stderr, flush=True)
    for number in (signal.SIGTERM, signal.SIGINT):  # what uvicorn passes on once it is done
        signal.signal(number, lambda *_: sys.exit(0))
    if settings.workers == 1:
        uvicorn.Server(config).run(sockets=[listening])
        return
    with tempfile.TemporaryDirectory(prefix="listwise-metrics-") as folder:
        os.environ[metrics.FOLDER] = folder
        Multiprocess(config, sockets=[listening]).run()


def worker_app(settings: ServeSettings, level: int) -> FastAPI:
    """The service as a worker has it: what goes through ``logging``, from ``level`` on, is JSON on standard error,
    and spans are sent where the environment asks for it. A worker among several goes when their parent is gone.

    Raises:
        ConfigError: a policy cannot work here, or spans cannot be sent.
    """
    threading.Thread(target=_orphaned, daemon=True).start()
    log_as_json(level)
    provider = start_exporting()

    @contextmanager
    def around() -> Iterator[None]:
        with sent_at_the_end(provider), failures_logged():
            yield

    with uncollected():
        app = create_app(settings, around=around)
    settle()
    return app


def _orphaned() -> None:
    """Stops this worker once its parent was killed: nobody else would, and while it lives it holds the address that
    whoever comes after is to listen at. So it is told twice, and gives up the address without draining first."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    parent.join()
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(AGAIN_S)


def _bound(config: uvicorn.Config) -> socket:
    """The socket that all workers accept from."""
    family = AF_INET6 if ":" in config.host else AF_INET
    listening = socket(family)
    listening.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    try:
        listening.bind((config.host, config.port))
    except OSError as error:
        listening.close()
        why = error.strerror or str(error)
        raise ConfigError(
            f"{config.host}:{config.port} cannot be listened at: {why}; choose another --port"
        ) from error
    listening.set_inheritable(True)
    return listening
