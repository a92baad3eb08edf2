"""What the service writes: JSON, with the request's id, and nothing of what was sent."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from structlog.contextvars import bound_contextvars

from listwise.log import get_logger
from listwise.serve.logs import access_log, failures_logged, log_as_json
from tests.cli.conftest import Shell
from tests.loopback import Http, ScriptedServer, Turn, failure
from tests.serve.serving import DOCUMENTS, QUERY
from tests.serve.test_commands import answers, serving
from tests.serve.test_staying_up import until

SECRET = "SECRETTHING"
KEY = "sk-SECRETTHING-of-the-provider"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What goes through ``logging`` meanwhile."""
    to, root = io.StringIO(), logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers = []
    try:
        log_as_json(logging.INFO, to)
        yield to
    finally:
        logging.captureWarnings(False)
        root.handlers, root.level = before, level


def lines(to: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in to.getvalue().splitlines()]


def test_a_line_of_the_engine_has_its_parts_and_the_requests_id(written: io.StringIO) -> None:
    with bound_contextvars(request_id="r1"):
        get_logger("listwise.somewhere").warning("it happened", model="openai/gpt-4o", seconds=1.5)
    get_logger("listwise.somewhere").info("nothing to say")
    logging.getLogger("uvicorn.error").error("a line of %s", "others")
    first, second, third = lines(written)
    assert {first.pop("timestamp"), second.pop("timestamp")}
    assert first == {
        "event": "it happened",
        "model": "openai/gpt-4o",
        "seconds": 1.5,
        "level": "warning",
        "logger": "listwise.somewhere",
        "request_id": "r1",
    }
    assert second == {"event": "nothing to say", "level": "info", "logger": "listwise.somewhere"}
    assert (third["event"], third["logger"]) == ("a line of others", "uvicorn.error")


def fail() -> None:
    try:
        raise KeyError(SECRET)
    except KeyError as error:
        raise ValueError(SECRET) from error


def test_an_exception_is_written_without_what_it_says(written: io.StringIO) -> None:
    try:
        fail()
    except ValueError:
        get_logger("listwise.somewhere").exception("it failed")
        logging.getLogger("uvicorn.error").exception("it failed there, too")
    for line in lines(written):
        outer, inner = line["exception"]
        assert (outer["type"], inner["type"]) == ("ValueError", "KeyError")
        assert outer["frames"][-1].startswith("test_logs.py:")
        assert outer["frames"][-1].endswith(" fail")
    assert SECRET not in written.getvalue()


async def test_what_fails_where_nobody_waits_is_written_so(written: io.StringIO) -> None:
    async def lost() -> None:
        fail()

    with failures_logged():
        task = asyncio.create_task(lost())
        await asyncio.wait([task])
        del task
        asyncio.get_running_loop().call_soon(fail)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    found = lines(written)
    assert {line["event"] for line in found} == {"failed in the event loop"}
    assert len(found) == 2
    assert SECRET not in written.getvalue()


def test_warnings_are_lines_too(written: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert lines(written)[0]["logger"] == "py.warnings"


def test_lines_of_a_library_are_sentences(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        get_logger("listwise.somewhere").warning("it happened", model="m", tries=2)
    assert caplog.messages == ["it happened (model=m, tries=2)"]


def test_the_access_log_has_a_time() -> None:
    to = io.StringIO()
    access_log(to).info("request", request_id="r1")
    (line,) = lines(to)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "request", "request_id": "r1"}


@contextmanager
def logging_to(shell: Shell, llm: ScriptedServer, *more: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A service as a process, and after the block what it wrote."""
    asks = ("--llm", "openai/gpt-4o", "--base-url", llm.base_url, "--escalate", "always", "--attempts", "1", *more)
    found: list[dict[str, Any]] = []
    with serving(shell, *asks) as (process, url):
        until(lambda: answers(url))
        yield url, found
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
        found.extend(json.loads(line) for line in err.splitlines())  # nothing but JSON
    assert process.returncode == 0


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("LISTWISE_KEYS", str(tmp_path / "keys.json"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return Shell(tmp_path)


def test_no_secret_is_written(shell: Shell) -> None:
    """Attacked by whatever a client sends, and a provider says."""
    echo = f"{KEY} {SECRET} [2] > [1]"
    turns: list[Turn] = [echo, failure(500, echo), failure(400, echo), Http(200, echo), Http(200, {"error": echo})]
    turns.append(failure(401, echo))  # after which the model is not asked any more
    odd = "\ud800" + SECRET
    bodies: list[Any] = [
        {"query": f"{SECRET} {at}", "documents": [f"{SECRET} a", f"{SECRET} b"]} for at in range(len(turns))
    ]
    bodies += [
        {"query": odd, "documents": [odd, SECRET], "return_documents": True},
        {"query": {"text": SECRET}, "documents": SECRET, SECRET: SECRET},
        [SECRET],
    ]
    headers = {
        "authorization": f"Bearer {SECRET}",
        "x-api-key": SECRET,
        "cookie": SECRET,
        "user-agent": SECRET,
        "traceparent": SECRET,
        "x-request-id": SECRET,
    }
    with (
        ScriptedServer(turns) as llm,
        logging_to(shell, llm) as (url, found),
        httpx2.Client(base_url=url, headers=headers, timeout=30) as client,
    ):
        for body in bodies:
            for path in ("/v2/rerank", f"/v2/rerank?key={SECRET}"):
                client.post(path, content=json.dumps(body).encode(), headers={"content-type": "application/json"})
        for name in ("policy", "budget", "deadline"):
            client.post("/v1/rerank", json=bodies[0], headers={f"x-listwise-{name}": SECRET})
        client.post(f"/{SECRET}", content=SECRET.encode())
        client.request("PROPFIND", f"/v1/{SECRET}")
        client.post("/rerank", content=SECRET.encode(), headers={"content-type": SECRET})
    assert len(llm.asked) == len(turns)
    assert len([line for line in found if line["event"] == "request"]) == 2 * len(bodies) + 6
    assert SECRET not in json.dumps(found)
    assert {line["path"] for line in found if line["event"] == "request"} == {
        *("/v2/rerank", "/v1/rerank", "/rerank", "other")
    }


def test_lines_of_the_engine_bear_the_id_of_their_request(shell: Shell) -> None:
    """The breaker's warning comes from deep within a request."""
    with ScriptedServer(failure(500)) as llm, logging_to(shell, llm, "--local", "none") as (url, found):

        def opened() -> bool:
            httpx2.post(f"{url}/v2/rerank", json={"query": QUERY, "documents": DOCUMENTS}, timeout=30)
            return 'listwise_breaker_open{model="openai/gpt-4o"} 1.0' in httpx2.get(f"{url}/metrics").text

        until(opened)
    (warning,) = [line for line in found if line["event"] == "the model keeps failing and is left alone"]
    assert warning["level"] == "warning"
    requests = {line["request_id"]: line for line in found if line["event"] == "request"}
    assert requests[warning["request_id"]]["path"] == "/v2/rerank"
