"""What the page is made of, and the figures that it asks for."""

from __future__ import annotations

import asyncio
import re
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from listwise.policy import Policy
from listwise.serve.keys import KeyFile
from listwise.serve.page import PATHS
from listwise.serve.recents import MOST
from listwise.spend.history import History
from listwise.spend.ledger import Scope
from listwise.spend.schema import default_path
from listwise.spend.sqlite import SqliteLedger
from tests.loopback import Hang, ScriptedServer
from tests.serve.serving import DOCUMENTS, QUERY, Served, served, settings
from tests.serve.test_staying_up import asking, until

ASKED: dict[str, Any] = {"query": QUERY, "documents": DOCUMENTS}
RANKING = ("/v2/rerank", "/v1/rerank", "/voyage/v1/rerank", "/try")


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys.json")


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def get(service: Served, path: str, key: str | None = None) -> Any:
    with service.client() as client:
        answer = client.get(path, headers=bearer(key) if key else {})
    assert answer.status_code == 200, answer.text
    return answer.json()


def rank(service: Served, key: str | None = None, **more: Any) -> Any:
    with service.client() as client:
        answer = client.post("/v2/rerank", json={**ASKED, **more}, headers=bearer(key) if key else {})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_page_may_load_its_own_parts_and_nothing_else(local: Served) -> None:
    kinds = {
        "": "text/html; charset=utf-8",
        "css": "text/css; charset=utf-8",
        "js": "text/javascript; charset=utf-8",
    }
    texts = {}
    with local.client() as client:
        for path in PATHS:
            answer = client.get(path)
            assert answer.status_code == 200
            assert answer.headers["content-type"] == kinds[path.rpartition(".")[2] if "." in path else ""]
            assert answer.headers["x-content-type-options"] == "nosniff"
            policy = dict(each.split(" ", 1) for each in answer.headers["content-security-policy"].split("; "))
            assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
            assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
            texts[path] = answer.text
        assert client.get("/page/nothing.js").status_code == 404
        assert client.get("/page/..%2f__init__.py").status_code == 404
    page = texts["/"]
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=|javascript:", page)
    assert set(re.findall(r'(?:src|href)="([^"#][^"]*)"', page)) - PATHS == {
        *("/metrics", "/openapi.json", "/health/ready"),
        *re.findall(r'href="(data:[^"]*)"', page),
    }
    for path, text in texts.items():
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), path
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(|new Function", text), (
            path
        )
        assert {f"/page/{name}" for name in re.findall(r'from "\./([^"]+)"', text)} <= PATHS


def test_with_keys_the_page_is_open_and_what_it_asks_for_is_not(keys: KeyFile) -> None:
    _, key = keys.add("team", rate=1, concurrency=1)
    with served(settings(keys=keys.path)) as service:
        with service.client() as client:
            assert '<html lang="en" data-keys>' in client.get("/").text
            assert all(client.get(path).status_code == 200 for path in PATHS)
            for path in ("/status", "/recent"):
                assert client.get(path).status_code == client.get(path, headers=bearer("x")).status_code == 401
            assert client.post("/try", json=ASKED).status_code == 401
        assert get(service, "/status", key)["account"] == "team"
        rank(service, key)
        for _ in range(3):  # figures take nothing from what the key may rank, nor are they kept from it after that
            assert len(get(service, "/recent", key)["rankings"]) == 1
        with service.client() as client:
            assert client.post("/try", json=ASKED, headers=bearer(key)).status_code == 429


def test_whoever_looks_is_not_logged_and_who_may_not_is(keys: KeyFile) -> None:
    _, key = keys.add("team")
    with served(settings(keys=keys.path)) as service:
        get(service, "/status", key)
        get(service, "/recent", key)
        with service.client() as client:
            client.get("/")
            client.get("/status")
    assert [(line["path"], line["status"]) for line in service.log.lines] == [("/status", 401)]


def test_figures_of_a_service_that_costs_nothing() -> None:
    with served(settings()) as service:
        before = get(service, "/status")
        assert (before["keys"], before["account"], before["workers"]) == (False, None, 1)
        assert before["traffic"]["rankings"] == 0
        assert [each["most"] for each in before["traffic"]["seconds"]["quantiles"]] == [None, None, None]
        assert before["spending"] | {"day": "", "month": ""} == {
            **{"day": "", "month": "", "kept": False, "pays": False, "accounts": [], "run": None},
        }
        for _ in range(3):
            rank(service)
        with service.client() as client:
            assert client.post("/v2/rerank", json={}).status_code == 422
        after = get(service, "/status")
    traffic = after["traffic"]
    assert (traffic["rankings"], traffic["tiers"], traffic["degraded"]) == (3, {"local": 3}, 0)
    assert sum(span["requests"] for span in traffic["seconds"]["spans"]) == 4
    assert (traffic["running"], traffic["waiting"]) == (0, 0)
    assert after["policies"] == [
        {
            **{"name": "default", "local": ["embedded"], "llm": None, "fallback": [], "escalate": "never"},
            **{"strategy": None, "window": None, "depth": 100, "simulated": False},
            **{"budget_usd": None, "deadline_s": 60.0},
        }
    ]


def test_figures_of_a_service_with_an_llm_and_caps() -> None:
    ledger = SqliteLedger(default_path())
    asyncio.run(ledger.reserve([Scope("account", "of-old")], 7))  # nothing this month, and no cap: not shown
    ledger.close()
    with ScriptedServer("[2] > [1] > [3]") as llm:
        paying = asking(llm, budget_usd="0.5", budget_day_usd="1", budget_total_usd="20", max_seconds=9)
        with served(settings(paying, Policy.of("offline"))) as service:
            History(default_path()).keep_cap("default", "month", Decimal("7"))
            History(default_path()).keep_cap("other", "account", Decimal("0.25"))
            usd = rank(service)["listwise"]["receipt"]["usd"]
            rank(service)
            until(lambda: get(service, "/status")["spending"]["run"]["usd"] > 0)
            status = get(service, "/status")
    traffic, spending = status["traffic"], status["spending"]
    assert (traffic["tiers"], traffic["calls"], traffic["cache_hits"]) == ({"llm": 2}, 2, 1)
    assert traffic["repairs"] == 2  # the one that is missing, twice
    assert usd > 0
    held = {"usd": usd, "reserved_usd": 0}
    none = {"usd": 0, "reserved_usd": 0}
    assert spending["accounts"] == [
        {
            "account": "default",
            "day": {**held, "cap_usd": 1},
            "month": {**held, "cap_usd": 7},
            "total": {**held, "cap_usd": None},
        },
        {
            "account": "other",
            "day": {**none, "cap_usd": None},
            "month": {**none, "cap_usd": None},
            "total": {**none, "cap_usd": 0.25},
        },
    ]
    assert spending["run"] == {"name": "test-run", **held, "cap_usd": 20}
    first = status["policies"][0]
    assert (first["llm"], first["escalate"], first["strategy"]) == ("openai/gpt-4o", "always", "sliding")
    assert (first["budget_usd"], first["deadline_s"], first["local"]) == (0.5, 9.0, [])
    assert llm.base_url not in str(status)


def test_what_is_under_way_is_shown_as_reserved() -> None:
    with ScriptedServer(Hang()) as llm, served(settings(asking(llm))) as service, service.client() as client:
        asker = threading.Thread(
            target=lambda: client.post("/v2/rerank", json={**ASKED, "listwise": {"deadline_s": 2}})
        )
        asker.start()
        until(lambda: bool(llm.asked))
        status = get(service, "/status")
        asker.join()
    assert status["traffic"]["running"] == 1
    assert status["spending"]["accounts"][0]["day"]["usd"] == 0
    assert status["spending"]["accounts"][0]["day"]["reserved_usd"] > 0


def test_a_key_sees_its_own_account_and_no_other(keys: KeyFile) -> None:
    (_, one), (_, two) = keys.add("alpha"), keys.add("beta")
    with ScriptedServer("[2] > [1] > [3] > [4]") as llm, served(settings(asking(llm), keys=keys.path)) as service:
        History(default_path()).keep_cap("alpha", "day", Decimal(3))
        mine = rank(service, one)
        until(lambda: get(service, "/status", one)["spending"]["accounts"][0]["day"]["usd"] > 0)
        ours, theirs = get(service, "/status", one), get(service, "/status", two)
        assert [each["id"] for each in get(service, "/recent", one)["rankings"]] == [mine["id"]]
        assert get(service, "/recent", two)["rankings"] == []
    (line,) = ours["spending"]["accounts"]
    assert (line["account"], line["day"]["cap_usd"]) == ("alpha", 3)
    assert line["day"]["usd"] == mine["listwise"]["receipt"]["usd"]
    (line,) = theirs["spending"]["accounts"]
    assert line == {
        "account": "beta",
        **{kind: {"usd": 0, "reserved_usd": 0, "cap_usd": None} for kind in ("day", "month", "total")},
    }
    assert ours["spending"]["run"] is theirs["spending"]["run"] is None
    assert "alpha" not in str(theirs["spending"])


def test_a_local_model_of_ones_own_is_named_without_its_folder(tmp_path: Path) -> None:
    import shutil

    from listwise.models.local import OWN

    folder = tmp_path / "secret-place" / "model"
    shutil.copytree(OWN["embedded"], folder)
    with served(settings(Policy.of(local=str(folder)))) as service:
        rank(service)
        shown = str((get(service, "/status"), get(service, "/recent")))
    assert "'model'" in shown
    assert "secret-place" not in shown


@pytest.mark.parametrize("log_queries", [False, True])
def test_recent_rankings_have_receipts_and_queries_only_if_asked_for(log_queries: bool) -> None:
    with served(settings(log_queries=log_queries)) as service:
        made = [rank(service, top_n=2)["id"] for _ in range(2)]
        with service.client() as client:
            client.post("/v2/rerank", json={"query": "x"})
        found = get(service, "/recent")["rankings"]
    assert [each["id"] for each in found] == made[::-1]
    latest = found[0]
    assert (latest["policy"], latest["documents"], latest["receipt"]["route"]) == ("default", 4, "local")
    assert latest["words"][0] == {"what": "order", "text": "4 passages, in the order of the local model embedded"}
    if log_queries:
        assert latest["query"] == QUERY
        assert latest["top"][0] == {"index": 1, "text": DOCUMENTS[1]}
        assert len(latest["top"]) == 2
    else:
        assert not any(text in str(found) for text in (QUERY, *DOCUMENTS))


def test_so_many_are_remembered_and_no_more() -> None:
    with served(settings()) as service, service.client() as client:
        for at in range(MOST + 3):
            last = client.post("/v2/rerank", json={**ASKED, "query": f"query {at}"}).json()["id"]
        found = client.get("/recent").json()["rankings"]
    assert len(found) == MOST
    assert found[0]["id"] == last


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost"])
def test_a_page_of_another_origin_cannot_spend(origin: str) -> None:
    """Such a page may send what needs no leave: a POST of text, or of no type at all."""
    with ScriptedServer("[1] > [2] > [3] > [4]") as llm, served(settings(asking(llm))) as service:
        with service.client() as client:
            for path in (*RANKING, "/rerank"):
                body = {"query": QUERY, "texts": DOCUMENTS} if path == "/rerank" else ASKED
                assert client.post(path, json=body, headers={"origin": origin}).status_code == 403
                leave = client.options(path, headers={"origin": origin, "access-control-request-method": "POST"})
                assert leave.status_code in (403, 405)
                assert not any(name.startswith("access-control") for name in leave.headers)
            assert llm.asked == []
            assert client.post("/try", json=ASKED, headers={"origin": service.url}).status_code == 200
        assert len(llm.asked) == 1


def test_with_a_key_the_origin_does_not_matter(keys: KeyFile) -> None:
    _, key = keys.add("team")
    with served(settings(keys=keys.path)) as service, service.client() as client:
        behind = {**bearer(key), "origin": "https://rerank.example.org"}
        assert client.post("/try", json=ASKED, headers=behind).status_code == 200
        assert client.post("/try", json=ASKED, headers={"origin": "https://evil.example"}).status_code == 401
