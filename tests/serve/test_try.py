"""A ranking that is told as it is made."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from listwise.policy import Policy
from listwise.serve.draining import drain
from listwise.serve.keys import KeyFile
from listwise.spend.history import History
from listwise.spend.schema import default_path
from tests.loopback import Hang, ScriptedServer, failure
from tests.serve.serving import DOCUMENTS, QUERY, Served, served, settings
from tests.serve.test_staying_up import asking, until

ASKED: dict[str, Any] = {"query": QUERY, "documents": DOCUMENTS}
THREE_WINDOWS = {"window": 2, "stride": 1, "guard": "off"}
"""Of four passages: the last two, the middle two, the first two."""


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")


def lines(answer: httpx2.Response) -> Iterator[dict[str, Any]]:
    for line in answer.iter_lines():
        yield json.loads(line)


def tried(service: Served, body: dict[str, Any] = ASKED, **headers: str) -> list[dict[str, Any]]:
    with service.client() as client, client.stream("POST", "/try", json=body, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/x-ndjson"
        return list(lines(answer))


def test_each_window_is_told_as_it_is_read() -> None:
    """The LLM is slow, and its first answer is here before its second question was put."""
    with (
        ScriptedServer("[2] > [1]", delay_s=0.15) as llm,
        served(settings(asking(llm, **THREE_WINDOWS, cache="off"))) as service,
    ):
        with service.client() as client, client.stream("POST", "/try", json=ASKED) as answer:
            seen = []
            for event in lines(answer):
                seen.append(event)
                answered = sum(each["event"] == "window" for each in seen)
                assert len(llm.asked) <= answered + 1
        with service.client() as client:
            calm = client.post("/v2/rerank", json=ASKED).json()
    assert [each["event"] for each in seen] == ["step", "window"] * 3 + ["ranked"]
    assert [each["order"] for each in seen if each["event"] == "step"] == [[0, 1, 2, 3], [0, 1, 3, 2], [0, 3, 1, 2]]
    assert [each["windows"] for each in seen if each["event"] == "step"] == [[[2, 3]], [[1, 3]], [[0, 3]]]
    first, last = seen[1], seen[-1]
    assert (first["shown"], first["answered"], first["answer"]) == ([2, 3], [3, 2], "[2] > [1]")
    assert (first["model"], first["step"], first["cached"], first["error"]) == ("openai/gpt-4o", 0, False, None)
    assert first["usd"] > 0
    assert last["results"] == calm["results"]
    assert [each["index"] for each in last["results"]] == [3, 0, 1, 2]
    receipt = last["listwise"]["receipt"]
    assert receipt["usd"] == pytest.approx(sum(each["usd"] for each in seen if each["event"] == "window"), abs=1e-9)
    assert last["words"][0]["text"] == "4 passages, put in order by openai/gpt-4o (3 windows), sliding"


def test_what_came_of_a_window_that_was_repaired_or_not_read() -> None:
    with (
        ScriptedServer(["[2]", failure(400, "no"), "I cannot say"]) as llm,
        served(settings(asking(llm, **THREE_WINDOWS, cache="off"))) as service,
    ):
        _, repaired, *others = tried(service)
    assert (repaired["answered"], repaired["repairs"]) == ([3, 2], {"missing": 1})
    refused = next(each for each in others if each["event"] == "window")
    assert refused["answered"] is None
    assert "no" in refused["error"]
    assert others[-1]["event"] == "ranked"
    assert any(each["what"] == "degraded" for each in others[-1]["words"])


def test_a_local_ranking_has_no_windows_and_goes_by_the_policy_wished_for() -> None:
    with served(settings(Policy.of("offline"), Policy.of("offline", local="none"))) as service:
        (found,) = tried(service)
        (other,) = tried(service, {**ASKED, "listwise": {"policy": "second"}})
    assert found["results"][0]["index"] == 1
    assert found["listwise"]["score_type"] == "probability"
    assert [each["index"] for each in other["results"]] == [0, 1, 2, 3]
    assert (other["listwise"]["policy"], other["words"][0]["text"]) == (
        "second",
        "4 passages, in the order in which they came",
    )


def test_it_is_counted_logged_and_remembered_as_any_ranking() -> None:
    with ScriptedServer("[2] > [1] > [3] > [4]") as llm, served(settings(asking(llm))) as service:
        found = tried(service)[-1]
        with service.client() as client:
            assert client.get("/recent").json()["rankings"][0]["id"] == found["id"]
            metrics = client.get("/metrics").text
    assert 'listwise_requests_total{outcome="ok",route="/try"} 1.0' in metrics
    assert re.search(r'^listwise_rankings_total\{.*tier="llm".*\} 1\.0$', metrics, re.MULTILINE)
    (line,) = [each for each in service.log.lines if each["path"] == "/try"]
    assert (line["request_id"], line["documents"]) == (found["id"], 4)
    assert float(line["usd"]) == found["listwise"]["receipt"]["usd"] > 0


def test_the_description_says_what_it_answers() -> None:
    with served(settings()) as service:
        described = service.app.openapi()["paths"]["/try"]["post"]
    assert list(described["responses"]["200"]["content"]) == ["application/x-ndjson"]
    assert described["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/Try")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"query": QUERY, "documents": []}, 422),
        ({**ASKED, "listwise": {"policy": "no-such"}}, 422),
        ({**ASKED, "documents": ["x"] * 7}, 422),
        ({**ASKED, "top_n": 1}, 422),
    ],
)
def test_what_is_refused_at_once_has_a_status_of_its_own(body: dict[str, Any], status: int) -> None:
    with served(settings(documents=6)) as service, service.client() as client:
        answer = client.post("/try", json=body)
    assert answer.status_code == status
    assert answer.json()["message"]
    assert service.log.lines[-1]["outcome"] == "invalid"


def test_a_full_queue_too() -> None:
    with served(settings(running=1, queue=0)) as service, service.client() as client:
        service.service.gate._places._value = 0
        answer = client.post("/try", json=ASKED)
        service.service.gate._places._value = 1
    assert (answer.status_code, answer.json()["error_type"]) == (429, "busy")


def test_what_is_refused_after_a_window_was_asked_is_the_last_line(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    _, key = file.add("team")
    with (
        ScriptedServer("[1] > [2] > [3] > [4]") as llm,
        served(settings(asking(llm), keys=file.path, over_cap="refuse")) as service,
    ):
        History(default_path()).keep_cap("team", "day", Decimal("0.000001"))
        *_, last = tried(service, authorization=f"Bearer {key}")
        until(lambda: bool(service.log.lines))
    assert (last["event"], last["status"], last["error_type"]) == ("refused", 402, "over_cap")
    assert "day" in last["message"]
    assert service.log.lines[-1]["outcome"] == "over_cap"
    assert llm.asked == []


def test_who_stops_looking_ends_the_work_and_its_money_is_settled() -> None:
    with (
        ScriptedServer(["[2] > [1]", Hang()]) as llm,
        served(settings(asking(llm, **THREE_WINDOWS))) as service,
    ):
        with service.client() as client, client.stream("POST", "/try", json=ASKED) as answer:
            events = lines(answer)
            assert [next(events)["event"] for _ in range(3)] == ["step", "window", "step"]
            until(lambda: len(llm.asked) == 2)
        until(lambda: bool(service.log.lines))
        ledger = service.service.ledger
        asyncio.run(ledger.flush())
        (line,) = History(ledger.path).report("account")
        assert service.service.gate.idle.is_set()
    assert (service.log.lines[0]["outcome"], service.log.lines[0]["status"]) == ("gone", 499)
    assert (line.answered, line.open, line.unknown) == (1, 0, 1)


def test_a_service_that_stops_says_so_in_the_last_line() -> None:
    found: list[list[dict[str, Any]]] = []
    with ScriptedServer(Hang()) as llm, served(settings(asking(llm), grace_s=0.1)) as service:
        running = threading.Thread(target=lambda: found.append(tried(service)))
        running.start()
        until(lambda: bool(llm.asked))
        service.service.draining = True
        loop = next(iter(service.service._work)).get_loop()
        asyncio.run_coroutine_threadsafe(drain(service.service), loop).result()
        running.join()
    ((step, last),) = found
    assert step["event"] == "step"
    assert (last["event"], last["status"], last["error_type"]) == ("refused", 503, "draining")


def test_a_failure_within_closes_the_connection_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As the answer has begun, there is no other way to say it."""

    def broken(*_: Any) -> Any:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("listwise.serve.streamed.ranked_event", broken)
    with ScriptedServer("[2] > [1] > [3] > [4]") as llm, served(settings(asking(llm))) as service:
        with pytest.raises(httpx2.RemoteProtocolError):
            tried(service)
        until(lambda: bool(service.log.lines))
        with service.client() as client:
            assert client.get("/health/live").status_code == 200
    assert service.log.lines[-1]["outcome"] == "failed"
    assert "a fault of ours" in caplog.text
