"""``listwise serve`` and ``listwise keys`` as a user runs them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import httpx2
import pytest

from listwise.spend.history import History
from tests.cli.conftest import Shell
from tests.loopback import ScriptedServer
from tests.serve.serving import DOCUMENTS, QUERY
from tests.serve.test_staying_up import until

ASKED = {"query": QUERY, "documents": DOCUMENTS}


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("LISTWISE_KEYS", str(tmp_path / "keys.json"))
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    return Shell(tmp_path)


@contextmanager
def serving(shell: Shell, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A service as a process, and its address."""
    process = shell.start("serve", "--port", "0", *arguments)
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        address = re.search(r"http://\S+", line)
        assert address is not None, line + process.stderr.read()
        yield process, address[0]
    finally:
        process.terminate()  # workers of one that is killed would live on
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()


def answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/health/ready").status_code == 200
    except httpx2.TransportError:
        return False


def test_it_serves_until_it_is_told_to_stop_and_finishes_what_runs(shell: Shell) -> None:
    with ScriptedServer("[4] > [1] > [2] > [3]", delay_s=1.0) as llm:
        asking = ("--llm", "openai/gpt-4o", "--base-url", llm.base_url, "--escalate", "always", "--local", "none")
        with serving(shell, *asking, "--log-queries") as (process, url):
            until(lambda: answers(url))
            with httpx2.Client(base_url=url, timeout=30) as client:
                with client.stream("GET", "/health/live") as probe:
                    assert probe.status_code == 200
                given: list[httpx2.Response] = []
                running = threading.Thread(target=lambda: given.append(client.post("/v2/rerank", json=ASKED)))
                running.start()
                until(lambda: bool(llm.asked))
                process.send_signal(signal.SIGTERM)
                until(lambda: not answers(url))
                running.join()
            _, log = process.communicate(timeout=30)
    assert given[0].json()["results"][0]["index"] == 3
    assert process.returncode == 0, log
    assert f'"query": "{QUERY}"' in log
    assert "Traceback" not in log


@pytest.mark.slow
def test_workers_share_socket_figures_and_the_run(shell: Shell) -> None:
    with serving(shell, "--workers", "2") as (process, url):
        until(lambda: answers(url))
        for _ in range(6):
            assert httpx2.post(f"{url}/v2/rerank", json=ASKED, timeout=30).status_code == 200
        figures = httpx2.get(f"{url}/metrics").text
        assert 'listwise_requests_total{outcome="ok",route="/v2/rerank"} 6.0' in figures
        status = httpx2.get(f"{url}/status").json()
        assert (status["workers"], status["traffic"]["rankings"]) == (2, 6)
        assert sum(span["requests"] for span in status["traffic"]["seconds"]["spans"]) == 6
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--host", "0.0.0.0"), "listwise keys add"),
        (("--keys", "none.json"), "no keys in it"),
        (("--offer", "best"), "NAME=POLICY"),
        (("--offer", "default=best"), "already"),
        (("--offer", "cheap=nothing"), "nothing"),
        (("--local", "nothing/such"), "nothing/such"),
        (("--ledger", "."), "ledger"),
    ],
)
def test_what_cannot_be_served_is_said_at_once(shell: Shell, arguments: tuple[str, ...], said: str) -> None:
    more = () if "--local" in arguments else ("--llm", "openai/gpt-4o")
    done = shell.run("serve", "--port", "0", *more, *arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert len(done.stderr.splitlines()) <= 2


def test_a_place_that_is_taken(shell: Shell) -> None:
    with ScriptedServer() as other:
        done = shell.run("serve", "--port", other.root.rpartition(":")[2])
    assert done.returncode == 2
    assert "choose another --port" in done.stderr


def test_keys_are_made_listed_and_revoked(shell: Shell) -> None:
    made = shell.run("keys", "add", "team", "--budget-day", "5", "--budget-month", "50.5", "--rate", "60")
    assert made.returncode == 0, made.stderr
    assert re.fullmatch(r"lw_[0-9a-f]{8}_[\w-]{43}\n", made.stdout)
    ledger = Path(os.environ["LISTWISE_LEDGER"])
    assert History(ledger).caps() == {"team": {"day": Decimal(5), "month": Decimal("50.5")}}
    listed = shell.run("keys", "list").stdout
    assert all(each in listed for each in ("team", "$5.0000", "$50.5000", "60", "valid"))
    assert made.stdout.strip() not in listed
    assert "revoked" in shell.run("keys", "revoke", "team").stdout
    assert shell.run("keys", "revoke", "team").returncode == 2
    assert "revoked" in shell.run("keys", "list").stdout
    assert "a month" in shell.run("spend", "cap", "team").stdout


def test_a_key_that_cannot_be_made_is_not_made(shell: Shell) -> None:
    for arguments in (("two words",), ("team", "--budget-day", "much"), ("team", "--rate", "0")):
        assert shell.run("keys", "add", *arguments).returncode == 2
    assert "no keys" in shell.run("keys", "list").stdout
