"""What Prometheus reads of the service."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from listwise.calls import Identity
from listwise.serve.metrics import Metrics, _forget_the_dead
from listwise.spend.history import History
from listwise.telemetry.listening import Broke, Called, Mended, Reserved, Settled
from listwise.types import Usage
from tests.cli.conftest import Shell
from tests.conftest import CHECKOUT
from tests.loopback import Hang, ScriptedServer, Turn, failure
from tests.serve.serving import DOCUMENTS, QUERY, Served, served, settings
from tests.serve.test_commands import answers, serving
from tests.serve.test_staying_up import asking, leave, until

ASKED: dict[str, Any] = {"query": QUERY, "documents": DOCUMENTS}
MODEL = "openai/gpt-4o"
Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")


def read(page: str) -> Figures:
    families = text_string_to_metric_families(page)
    return {
        (each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples
    }


def figures(service: Served) -> Figures:
    with service.client() as client:
        return read(client.get("/metrics").text)


def of(found: Figures, name: str, **labels: str) -> float | None:
    return found.get((name, frozenset(labels.items())))


def test_dollars_count_where_they_are_settled(tmp_path: Path) -> None:
    """Those of a client that left, too: the figures are the ledger's."""
    turns: list[Turn] = ["[2] > [1] > [3] > [4]", failure(500), "[1] > [2] > [3] > [4]", Hang()]
    with ScriptedServer(turns) as llm, served(settings(asking(llm, attempts=2))) as service:
        with service.client() as client:
            for at in range(2):
                answer = client.post("/v2/rerank", json={**ASKED, "query": f"{QUERY} {at}"})
                assert answer.json()["results"][0]["index"] == 1 - at
            leave(service, {**ASKED, "query": "gone"}, lambda: len(llm.asked) == 4)
            until(lambda: len(service.log.lines) == 3)
            client.post("/v2/rerank", json={**ASKED, "query": f"{QUERY} 0"})  # from the cache
        found = figures(service)
        client_gone = service.log.lines[2]
    (line,) = History(service.service.ledger.path).report("account")
    assert client_gone["outcome"] == "gone"
    assert Decimal(client_gone["usd"]) > 0
    assert of(found, "listwise_usd_total") == pytest.approx(float(line.usd))
    assert of(found, "listwise_usd_reserved") == 0
    assert of(found, "listwise_tokens_total", kind="input") == sum(given for given, _ in llm.billed[:2])
    assert of(found, "listwise_calls_total", model=MODEL) == 3
    assert of(found, "listwise_cache_hits_total", model=MODEL) == 1
    assert of(found, "listwise_retries_total") == 1
    assert of(found, "listwise_attempts_total", model=MODEL, outcome="ok") == 2
    assert of(found, "listwise_attempts_total", model=MODEL, outcome="ServerError") == 1
    assert of(found, "listwise_attempts_total", model=MODEL, outcome="CancelledError") == 1
    assert of(found, "listwise_rankings_total", route="llm", tier="llm") == 3
    assert of(found, "listwise_breaker_open", model=MODEL) == 0
    seconds = "gen_ai_client_inference_duration_seconds_count"
    labels = {"gen_ai_operation_name": "chat", "gen_ai_provider_name": "openai", "gen_ai_request_model": "gpt-4o"}
    assert of(found, seconds, **labels, error_type="") == 2
    assert of(found, seconds, **labels, error_type="CancelledError") == 1


def test_what_is_set_aside_is_shown_without_a_ledger(tmp_path: Path) -> None:
    with (
        ScriptedServer("[2] > [1]", delay_s=1.0) as llm,
        served(settings(asking(llm, ledger="off", budget_usd=1))) as service,
    ):
        running = threading.Thread(target=lambda: httpx2.post(f"{service.url}/v2/rerank", json=ASKED, timeout=30))
        running.start()
        until(lambda: bool(llm.asked))
        held = of(figures(service), "listwise_usd_reserved")
        running.join()
        after = figures(service)
    assert held is not None
    assert held > 0
    assert of(after, "listwise_usd_reserved") == 0
    spent = of(after, "listwise_usd_total")
    assert spent is not None
    assert 0 < spent <= held


def test_the_local_tier_has_its_seconds(local: Served) -> None:
    before = figures(local)
    with local.client() as client:
        scorer = client.post("/v2/rerank", json=ASKED).json()["listwise"]["receipt"]["local"]
    (name,) = {dict(labels)["scorer"] for name, labels in figures(local) if name == "listwise_local_seconds_count"}
    assert Path(name).name == scorer
    after = of(figures(local), "listwise_local_seconds_count", scorer=name)
    assert after == (of(before, "listwise_local_seconds_count", scorer=name) or 0) + 1
    assert of(figures(local), "listwise_rankings_total", route="local", tier="local") is not None


def test_a_model_that_keeps_failing_is_shown_as_left_alone() -> None:
    """Its breaker opens after ten failures in a row over at least a second."""
    with (
        ScriptedServer(failure(500)) as llm,
        served(settings(asking(llm, attempts=1))) as service,
        service.client() as client,
    ):

        def opened() -> bool:
            client.post("/v2/rerank", json=ASKED)
            return of(figures(service), "listwise_breaker_open", model=MODEL) == 1

        until(opened)
        asked = len(llm.asked)
        client.post("/v2/rerank", json=ASKED)
    assert len(llm.asked) == asked


def test_breakers_of_several_policies_are_counted_together() -> None:
    metrics = Metrics()

    def shown() -> float | None:
        page, _ = metrics.page()
        return of(read(page.decode()), "listwise_breaker_open", model=MODEL)

    seen = []
    for event in (
        Broke(1, MODEL),
        Broke(1, MODEL),
        Broke(2, MODEL),
        Mended(1, MODEL),
        Mended(1, MODEL),
        Mended(2, MODEL),
    ):
        metrics(event)
        seen.append(shown())
    assert seen == [1, 1, 2, 1, 1, 0]


def test_sums_of_small_amounts_are_exact() -> None:
    metrics = Metrics()
    for _ in range(1000):
        metrics(Reserved(300_000_001))
    for _ in range(1000):
        metrics(Settled(300_000_001, 100_000_000, Usage(10, output_tokens=3)))
    found = read(metrics.page()[0].decode())
    assert of(found, "listwise_usd_reserved") == 0
    assert of(found, "listwise_usd_total") == pytest.approx(100)
    assert of(found, "listwise_tokens_total", kind="output") == 3000


def test_what_was_not_ranked_in_time_says_what_it_may_have_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline passes while an attempt is under way that does not end when it is told to."""
    monkeypatch.setattr("listwise.serve.service.SLACK_S", -0.4)
    with ScriptedServer(Hang()) as llm, served(settings(asking(llm))) as service:
        with service.client() as client:
            answer = client.post("/v2/rerank", json=ASKED, headers={"X-Listwise-Deadline": "1"})
        found = figures(service)
    receipt = answer.json()["listwise"]["receipt"]
    assert receipt["reason"] == "the deadline passed"
    assert Decimal(receipt["usd"]) > 0
    assert float(answer.headers["x-listwise-usd"]) == receipt["usd"]
    assert of(found, "listwise_usd_total") == pytest.approx(float(receipt["usd"]))
    (line,) = History(service.service.ledger.path).report("account")
    assert line.usd == Decimal(str(receipt["usd"]))


def test_it_speaks_openmetrics_if_asked(local: Served) -> None:
    with local.client() as client:
        usual = client.get("/metrics")
        asked = client.get(
            "/metrics", headers={"accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
        )
        odd = client.get("/metrics", headers={"accept": "application/openmetrics-text;version=one;escaping=x"})
    assert usual.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert asked.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert asked.text.endswith("# EOF\n")
    found = openmetrics(asked.text)  # type: ignore[no-untyped-call]
    assert {family.name for family in found} >= {"listwise_requests", "listwise_usd"}
    assert odd.status_code == 200


def test_no_client_makes_a_label(local: Served) -> None:
    with local.client() as client:
        client.get("/metrics")
        before = set(read(client.get("/metrics").text))
        for at in range(20):
            secret = f"SECRET{at}"
            body = {"query": secret, "documents": [secret, secret + "b"], "model": secret}
            client.post("/v2/rerank", json=body, headers={"x-listwise-policy": secret, "user-agent": secret})
            client.post(f"/{secret}?{secret}", json=body)
            client.request(secret, "/v2/rerank", json={secret: secret})
        page = client.get("/metrics").text
    assert "SECRET" not in page
    assert len(read(page).keys() - before) < 100  # however many asked


def test_what_ran_in_a_worker_that_is_gone_does_not_run(tmp_path: Path) -> None:
    gone, here = 2**22 + 1, os.getpid()  # above the highest number that a process may have
    for name in (f"gauge_livesum_{gone}.db", f"counter_{gone}.db", f"gauge_livesum_{here}.db"):
        (tmp_path / name).touch()
    _forget_the_dead(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {f"counter_{gone}.db", f"gauge_livesum_{here}.db"}


@pytest.mark.slow
def test_figures_of_workers_are_of_all_of_them_that_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTWISE_KEYS", str(tmp_path / "keys.json"))
    with ScriptedServer(Hang()) as llm:
        asks = ("--llm", "openai/gpt-4o", "--base-url", llm.base_url, "--escalate", "always", "--local", "none")
        with serving(Shell(tmp_path), *asks, "--workers", "2", "--price", "openai/gpt-4o=2.5,10") as (process, url):
            until(lambda: answers(url))
            running = [
                threading.Thread(target=lost, args=(f"{url}/v2/rerank", {**ASKED, "query": str(at)}))
                for at in range(6)
            ]
            for each in running:
                each.start()

            def shown() -> Figures:
                return read(httpx2.get(f"{url}/metrics", timeout=30).text)

            until(lambda: of(shown(), "listwise_running") == 6)
            held = of(shown(), "listwise_usd_reserved")
            workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            spawned = [pid for pid in workers if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
            for pid in spawned:
                os.kill(int(pid), signal.SIGKILL)
            for each in running:
                each.join()
            until(lambda: answers(url), seconds=90)
            after = shown()
            assert held is not None
            assert held > 0
            assert (of(after, "listwise_running"), of(after, "listwise_usd_reserved")) == (0, 0)


def lost(url: str, body: dict[str, Any]) -> None:
    try:
        httpx2.post(url, content=json.dumps(body), headers={"content-type": "application/json"}, timeout=60)
    except httpx2.TransportError:
        return


def test_the_docs_have_every_metric() -> None:
    metrics = Metrics()
    metrics(Called(Identity("p", "m", ""), "chat", 1.0))
    page = metrics.page()[0].decode()
    there = {name for name in re.findall(r"^# TYPE (\S+) ", page, re.M) if not name.endswith("_created")}
    docs = (CHECKOUT / "docs" / "observability.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|", docs, re.M)
    shown = {name for row in rows for name in re.findall(r"`((?:listwise|gen_ai_client)_\w+)`", row)}
    assert shown == there
