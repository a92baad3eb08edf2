"""Spans of the service: those of its requests, and how they are sent."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.trace import SpanKind, StatusCode

from listwise.errors import ConfigError
from listwise.serve.exporting import is_asked_for
from tests.cli.conftest import Shell
from tests.loopback import Hang, ScriptedServer
from tests.serve.collector import Collector
from tests.serve.serving import DOCUMENTS, QUERY, served, settings
from tests.serve.test_commands import answers, serving
from tests.serve.test_staying_up import asking, leave, until
from tests.telemetry.tracing import Kept, kept, said, trace_of

ASKED: dict[str, Any] = {"query": QUERY, "documents": DOCUMENTS}
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    with kept(monkeypatch) as keeping:
        yield keeping


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("LISTWISE_KEYS", str(tmp_path / "keys.json"))
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    return Shell(tmp_path)


def test_a_request_belongs_to_its_clients_trace(spans: Kept) -> None:
    with ScriptedServer("[2] > [1] > [3] > [4]") as llm, served(settings(asking(llm))) as service:
        with service.client() as client:
            answer = client.post("/v2/rerank", json=ASKED, headers={"traceparent": TRACEPARENT})
        until(lambda: bool(spans.named("POST /v2/rerank")))
    request = spans.one("POST /v2/rerank")
    assert request.kind == SpanKind.SERVER
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == PARENT
    assert {f"{trace_of(span):032x}" for span in spans.all} == {TRACE}
    assert spans.within(request) == ["rerank"]
    assert spans.within(spans.one("rerank")) == ["chat gpt-4o"]
    assert said(request) == {
        "http.request.method": "POST",
        "http.route": "/v2/rerank",
        "url.path": "/v2/rerank",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "http.response.status_code": 200,
        "listwise.request_id": answer.headers["x-request-id"],
        "listwise.outcome": "ok",
        "listwise.policy": "default",
    }
    assert said(spans.one("rerank"))["listwise.qid"] == answer.headers["x-request-id"]
    assert service.log.lines[0]["request_id"] == answer.headers["x-request-id"]
    assert "traceparent" not in llm.asked[0].headers


def test_requests_of_one_connection_have_traces_of_their_own(spans: Kept) -> None:
    big = {**ASKED, "documents": ["x" * 70_000, *DOCUMENTS]}  # reading is paused and resumed within the request
    with served(settings()) as service:
        with service.client() as client:
            for _ in range(4):
                assert client.post("/v2/rerank", json=big).status_code == 200
        until(lambda: len(spans.named("POST /v2/rerank")) == 4)
    requests = spans.named("POST /v2/rerank")
    assert len({trace_of(span) for span in requests}) == 4
    assert [span.parent for span in requests] == [None] * 4


def test_what_a_client_makes_up_is_in_no_span(spans: Kept) -> None:
    secret = "SECRETTHING"
    headers = {"authorization": f"Bearer {secret}", "user-agent": secret, "x-listwise-policy": secret}
    with served(settings()) as service:
        with service.client() as client:
            client.post(f"/v2/rerank?key={secret}", json={"query": secret, "documents": [secret], "listwise": {}})
            client.post("/v2/rerank", json={"query": secret, "documents": [secret]}, headers=headers)
            client.post("/v2/rerank", json={secret: secret})
            client.get(f"/{secret}?{secret}={secret}", headers={**headers, "baggage": f"a={secret}"})
            client.request("PROPFIND", "/v2/rerank")
            client.get("/health/ready")
            client.get("/metrics")
        until(lambda: len([span for span in spans.all if span.kind == SpanKind.SERVER]) == 5)
    assert secret not in spans.written()
    found = {(span.name, said(span)["listwise.outcome"]) for span in spans.all if span.kind == SpanKind.SERVER}
    assert found == {
        ("POST /v2/rerank", "ok"),
        ("POST /v2/rerank", "invalid"),
        ("GET", "unknown"),
        ("HTTP /v2/rerank", "unknown"),
    }


def test_the_query_is_told_if_asked_for(spans: Kept) -> None:
    with served(settings(log_queries=True)) as service:
        with service.client() as client:
            client.post("/v2/rerank", json=ASKED)
        until(lambda: bool(spans.named("POST /v2/rerank")))
    assert said(spans.one("POST /v2/rerank"))["gen_ai.retrieval.query.text"] == QUERY
    assert DOCUMENTS[0] not in spans.written()


def test_a_client_that_left_and_a_request_that_fails(spans: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(Hang()) as llm, served(settings(asking(llm))) as service:
        leave(service, ASKED, lambda: bool(llm.asked))
        until(lambda: bool(spans.named("POST /v2/rerank")))
        left = spans.one("POST /v2/rerank")
        assert said(left)["listwise.outcome"] == "gone"
        assert "http.response.status_code" not in said(left)
        assert said(spans.one("rerank"))["error.type"] == "CancelledError"

        def fails(*_: Any, **__: Any) -> None:
            raise ValueError(QUERY)

        monkeypatch.setattr(service.service, "rank", fails)
        with service.client() as client:
            assert client.post("/v1/rerank", json=ASKED).status_code == 500
        until(lambda: bool(spans.named("POST /v1/rerank")))
    failed = spans.one("POST /v1/rerank")
    assert said(failed)["error.type"] == "ValueError"
    assert failed.status.status_code == StatusCode.ERROR
    assert QUERY not in spans.written()


def test_a_request_that_no_llm_answers_well_enough(spans: Kept) -> None:
    with ScriptedServer("nothing") as llm, served(settings(asking(llm, on_bad_answer="raise"))) as service:
        with service.client() as client:
            assert client.post("/v2/rerank", json=ASKED).status_code == 502
        until(lambda: bool(spans.named("POST /v2/rerank")))
    assert said(spans.one("POST /v2/rerank"))["error.type"] == "502"
    assert said(spans.one("rerank"))["error.type"] == "Unreadable"


def attributes(span: Span) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in span.attributes}


def test_spans_are_sent_to_a_collector(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    with Collector() as collector, ScriptedServer("[2] > [1] > [3] > [4]") as llm:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "search-rerank")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")  # what there is at the end is sent at the end
        llm_options = ("--llm", "openai/gpt-4o", "--base-url", llm.base_url, "--escalate", "always")
        with serving(shell, *llm_options) as (process, url):
            until(lambda: answers(url))
            answer = httpx2.post(f"{url}/v2/rerank", json=ASKED, headers={"traceparent": TRACEPARENT}, timeout=30)
            assert answer.status_code == 200
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=30)
        assert process.returncode == 0, log
    assert collector.resources[0]["service.name"] == "search-rerank"
    by_name = {span.name: span for span in collector.spans}
    assert by_name.keys() == {"POST /v2/rerank", "rerank", "score", "chat gpt-4o", "attempt"}
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    request = by_name["POST /v2/rerank"]
    assert request.parent_span_id.hex() == PARENT
    assert request.kind == Span.SPAN_KIND_SERVER
    assert by_name["rerank"].parent_span_id == request.span_id
    assert by_name["chat gpt-4o"].parent_span_id == by_name["rerank"].span_id
    assert by_name["attempt"].parent_span_id == by_name["chat gpt-4o"].span_id
    assert attributes(by_name["chat gpt-4o"])["gen_ai.usage.input_tokens"] == llm.billed[0][0]
    assert f'"trace_id": "{TRACE}"' in log
    assert f'"span_id": "{request.span_id.hex()}"' in log


def test_a_client_that_does_not_sample_is_not_traced(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{collector.address}/v1/traces")
        with serving(shell) as (_, url):
            until(lambda: answers(url))
            for flag in ("00", "01"):
                given = {"traceparent": f"{TRACEPARENT[:-2]}{flag}"}
                httpx2.post(f"{url}/v{1 + int(flag)}/rerank", json=ASKED, headers=given, timeout=30)
            until(lambda: len(collector.spans) == 3)
    assert {span.name for span in collector.spans} == {"POST /v2/rerank", "rerank", "score"}
    assert collector.resources[0]["service.name"] == "listwise"


@pytest.mark.slow
@pytest.mark.parametrize("hangs", [True, False], ids=["hangs", "is down"])
def test_a_collector_that_does_not_answer_holds_up_nobody(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    collector = Collector(hangs=hangs)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "100")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "16")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    with collector if hangs else Down(collector), serving(shell) as (process, url):
        until(lambda: answers(url))
        with httpx2.Client(base_url=url, timeout=5) as client:
            for _ in range(30):
                assert client.post("/v2/rerank", json=ASKED).status_code == 200
            assert not hangs or collector.asked == 1
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=30)  # one attempt to send may take much longer
    assert process.returncode == 0, log
    assert "Traceback" not in log


class Down:
    """A collector that never begins."""

    def __init__(self, collector: Collector) -> None:
        collector._server.server_close()

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


@pytest.mark.parametrize(
    ("variables", "asked"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "True"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
    ],
)
def test_the_environment_says_whether_spans_are_sent(variables: dict[str, str], asked: bool) -> None:
    assert is_asked_for(variables) is asked


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf"),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "http://127.0.0.1:4318"),
    ],
)
def test_what_cannot_be_done_is_said(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, variables: Any, said: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        is_asked_for(variables)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for workers in ("1", "2"):
        done = shell.run("serve", "--port", "0", "--workers", workers)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
        assert said in done.stderr


def test_without_the_extra_it_is_said_how_to_install_it(shell: Shell) -> None:
    script = (
        "import sys\n"
        "sys.modules['opentelemetry.sdk'] = None\n"
        "from listwise.cli import main\n"
        "sys.argv = ['listwise', 'serve', '--port', '0']\n"
        "main()\n"
    )
    asks = {**shell.environment(), "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=asks, check=False)
    assert done.returncode == 2
    assert "pip install 'listwise[otel]'" in done.stderr
    assert "Traceback" not in done.stderr
