"""The OpenAPI description says what the service does: held against answers, and played by Schemathesis."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from listwise.policy import Policy
from listwise.serve import described
from listwise.serve.keys import KeyFile
from tests.serve.serving import DOCUMENTS, QUERY, Served, served, settings

MODELS: dict[str, Any] = {
    "/v2/rerank": described.CohereV2Answer,
    "/v1/rerank": described.RerankV1Answer,
    "/voyage/v1/rerank": described.VoyageAnswer,
    "/rerank": list[described.TeiRank],
}


def description(service: Served) -> dict[str, Any]:
    with service.client() as client:
        found: dict[str, Any] = client.get("/openapi.json").json()
    return found


@pytest.mark.parametrize("path", MODELS)
@pytest.mark.parametrize("back", [False, True])
def test_answers_are_as_described(local: Served, path: str, back: bool) -> None:
    """Each answer has all fields of its model and no others, and all headers."""
    tei = path == "/rerank"
    returning = {("return_text" if tei else "return_documents"): back}
    body = {"query": QUERY, "texts" if tei else "documents": DOCUMENTS, **returning}
    with local.client() as client:
        answer = client.post(path, json=body)
    said = answer.json()
    model = TypeAdapter(MODELS[path])
    written = model.dump_python(model.validate_python(said), exclude_unset=True)
    assert json.loads(json.dumps(written, default=float)) == said
    assert not tei or {"index", "score", *(["text"] if back else [])} == said[0].keys()
    documented = description(local)["paths"][path]["post"]["responses"]["200"]["headers"]
    assert documented.keys() <= answer.headers.keys()


def test_refusals_are_as_described(local: Served) -> None:
    with local.client() as client:
        answer = client.post("/v2/rerank", json={"query": ""})
    assert described.Refused.model_validate(answer.json()).model_dump() == answer.json()
    paths = description(local)["paths"]
    for path in MODELS:
        assert {"200", "402", "408", "413", "422", "429", "502", "503"} <= paths[path]["post"]["responses"].keys()
        assert "401" not in paths[path]["post"]["responses"]


def test_the_operators_bounds_and_policies_are_in_it() -> None:
    two = settings(Policy.of("offline"), Policy.of("offline"), documents=7, query_chars=5, document_chars=9)
    with served(two) as service:
        found = description(service)
    schemas = found["components"]["schemas"]
    assert schemas["Tei"]["properties"]["texts"]["maxItems"] == 7
    assert schemas["RerankV1"]["properties"]["query"]["maxLength"] == 5
    assert schemas["CohereV2"]["properties"]["documents"]["items"]["anyOf"][0]["maxLength"] == 9
    assert schemas["Receipt"]["properties"]["usd"]["type"] == "number"
    assert schemas["Wish"]["properties"]["policy"]["anyOf"][0]["enum"] == ["default", "second"]
    parameters = {each["name"]: each for each in found["paths"]["/rerank"]["post"]["parameters"]}
    assert parameters["X-Listwise-Policy"]["schema"]["enum"] == ["default", "second"]


def test_keys_are_a_security_scheme_where_there_are_any(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    file.add("team")
    with served(settings(keys=file.path)) as service:
        found = description(service)
    assert found["components"]["securitySchemes"] == {"key": {"type": "http", "scheme": "bearer"}}
    assert found["paths"]["/v2/rerank"]["post"]["security"] == [{"key": []}]
    assert "401" in found["paths"]["/metrics"]["get"]["responses"]
    assert "security" not in found["paths"]["/health/ready"]["get"]


def test_a_whole_number_may_be_written_as_a_fraction(local: Served) -> None:
    """As JSON Schema has it, and so our description."""
    with local.client() as client:
        answer = client.post("/v2/rerank", json={"query": QUERY, "documents": DOCUMENTS, "top_n": 2.0})
        assert len(answer.json()["results"]) == 2
        assert client.post("/v2/rerank", json={"query": "q", "documents": ["a"], "top_n": 1.5}).status_code == 422


@pytest.mark.slow
@pytest.mark.parametrize(("keys", "cases"), [(False, 2000), (True, 500)], ids=["open", "with keys"])
def test_schemathesis_finds_nothing(keys: bool, cases: int, tmp_path: Path) -> None:
    """No failure of the service, no hang, nothing undescribed, in so many cases of good and bad data."""
    pytest.importorskip("schemathesis", reason="needs Schemathesis: see `make test-api`")
    file = KeyFile(tmp_path / "keys.json") if keys else None
    bearer = ("--header", f"Authorization: Bearer {file.add('team')[1]}") if file else ()
    offered = (Policy.of("offline"), Policy.of("offline"))
    small = settings(
        *offered,
        keys=file.path if file else None,
        documents=20,
        document_chars=1000,
        query_chars=500,
        body_bytes=2**20,
    )
    with served(small) as service:
        done = subprocess.run(
            [
                *(Path(sys.executable).with_name("schemathesis"), "--config-file", _config(), "run"),
                *(f"{service.url}/openapi.json", "--max-examples", str(cases // 6), "--no-color", *bearer),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
        with service.client() as client:
            assert client.get("/health/ready").status_code == 200
    statuses = Counter(line["status"] for line in service.log.lines)
    assert statuses.keys() <= {200, 400, 401, 404, 405, 413, 422}
    assert min(statuses[200], statuses[422]) >= cases / 10
    (generated,) = re.findall(r"(\d+) generated", done.stdout)
    assert int(generated) >= cases


def _config() -> Path:
    return Path(__file__).with_name("schemathesis.toml")
