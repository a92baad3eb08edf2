"""Keys, what they may do, and what becomes of their dollars."""

from __future__ import annotations

import json
import stat
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from listwise.errors import ConfigError, InputError
from listwise.policy import Policy
from listwise.serve.keys import Key, KeyFile, KeyRing
from listwise.serve.quotas import Quotas
from listwise.serve.refusals import Refusal
from listwise.spend.history import History
from listwise.spend.schema import connect, default_path
from tests.loopback import ScriptedServer
from tests.serve.serving import DOCUMENTS, QUERY, Served, served, settings
from tests.serve.test_staying_up import asking

ASKED: dict[str, Any] = {"query": QUERY, "documents": DOCUMENTS}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "state" / "keys.json")


def ask(service: Served, key: str | None, **headers: str) -> Any:
    with service.client() as client:
        own = {} if key is None else {"authorization": f"Bearer {key}"}
        return client.post("/v2/rerank", json=ASKED, headers={**own, **headers})


def test_the_file_has_no_secret_and_is_its_users_own(file: KeyFile) -> None:
    key, text = file.add("team", rate=60)
    secret = text.split("_", 2)[2]
    assert len(secret) >= 43
    written = file.path.read_text()
    assert secret not in written
    assert text not in written
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert file.read() == [key]
    assert secret not in repr(key)


def test_two_keys_of_a_name_and_their_end(file: KeyFile) -> None:
    (one, _), (two, text) = file.add("team"), file.add("team")
    assert one.salt != two.salt
    assert [key.id for key in file.revoke(one.id)] == [one.id]
    ring = KeyRing(file)
    assert ring.opened_by(text) == two
    assert [key.id for key in file.revoke("team")] == [two.id]
    assert ring.opened_by(text) is None
    with pytest.raises(InputError, match="no key 'team'"):
        file.revoke("team")


def test_what_is_no_key_opens_nothing(file: KeyFile) -> None:
    key, text = file.add("team")
    ring = KeyRing(file)
    assert ring.opened_by(text) == key
    secret = text.split("_", 2)[2]
    for wrong in (
        "",
        "lw_",
        "lw__",
        f"lw_{key.id}_",
        f"lw_{key.id}_{secret[:-1]}",
        f"xx_{key.id}_{secret}",
        secret,
        "é",
    ):
        assert ring.opened_by(wrong) is None


def test_keys_that_cannot_be_read_leave_those_that_were(file: KeyFile, caplog: pytest.LogCaptureFixture) -> None:
    _, text = file.add("team")
    ring = KeyRing(file)
    assert ring.opened_by(text) is not None
    file.path.write_text("{")
    assert ring.opened_by(text) is not None
    assert "those read before hold" in caplog.text
    with pytest.raises(ConfigError, match="not a file of keys"):
        file.read()
    file.path.unlink()
    assert ring.opened_by(text) is None


def test_a_name_that_no_account_can_have_is_refused(file: KeyFile) -> None:
    with pytest.raises(ConfigError, match="account"):
        file.add("two words")
    assert file.read() == []


def key_with(rate: int | None = None, concurrency: int | None = None) -> Key:
    return Key("1", "team", "00", "0", "", rate, concurrency)


def test_rates_hold_over_any_minute_and_are_shared_by_workers() -> None:
    now = [0.0]
    quotas = Quotas(workers=2, clock=lambda: now[0])
    key = key_with(rate=5)
    for _ in range(2):
        with quotas.used_by(key):
            pass
    with pytest.raises(Refusal, match="5 requests in 60 seconds") as refused, quotas.used_by(key):
        pass
    assert refused.value.headers["retry-after"] == "60"
    now[0] = 60.0
    with quotas.used_by(key):
        pass


def test_so_many_at_a_time() -> None:
    quotas, key = Quotas(), key_with(concurrency=1)
    with quotas.used_by(key):
        with pytest.raises(Refusal, match="1 requests at a time"), quotas.used_by(key):
            pass
        with quotas.used_by(Key("2", "other", "00", "0", "", concurrency=1)):
            pass
    with quotas.used_by(key):
        pass


def test_with_keys_everything_but_health_needs_one(file: KeyFile) -> None:
    _, text = file.add("team", rate=2)
    with served(settings(keys=file.path)) as service, service.client() as client:
        for path in ("/v2/rerank", "/metrics", "/nothing"):
            answer = client.post(path) if path == "/v2/rerank" else client.get(path)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert client.get("/health/ready").status_code == 200
        assert ask(service, text[:-1]).status_code == 401
        assert ask(service, text).status_code == ask(service, text).status_code == 200
        over = ask(service, text)
        assert (over.status_code, over.json()["error_type"]) == (429, "over_limit")
        file.revoke("team")
        assert ask(service, text).status_code == 401
    assert [line["account"] for line in service.log.lines if "account" in line] == ["team"] * 3
    assert text not in json.dumps(service.log.lines)


def capped(file: KeyFile, **caps: str) -> str:
    _, text = file.add("team")
    connect(default_path()).close()
    for kind, usd in caps.items():
        History(default_path()).keep_cap("team", kind, Decimal(usd))  # type: ignore[arg-type]
    return text


@pytest.mark.parametrize("kind", ["day", "month"])
def test_over_the_cap_the_local_order_stands_and_the_answer_says_so(file: KeyFile, kind: str) -> None:
    text = capped(file, **{kind: "0.000001"})
    with ScriptedServer("[1] > [2] > [3] > [4]") as llm:
        with served(settings(asking(llm, local="embedded"), keys=file.path)) as service:
            answer = ask(service, text)
        assert llm.asked == []
    said = answer.json()
    assert answer.status_code == 200
    assert said["results"][0]["index"] == 1
    receipt = said["listwise"]["receipt"]
    assert (receipt["over_cap"], receipt["fallback"]) == (kind, "local")
    assert f"{kind} team" in receipt["degraded"][0]


def test_or_the_request_is_refused(file: KeyFile) -> None:
    text = capped(file, day="0.000001")
    with (
        ScriptedServer("[1] > [2] > [3] > [4]") as llm,
        served(settings(asking(llm), keys=file.path, over_cap="refuse")) as service,
    ):
        answer = ask(service, text)
        assert (answer.status_code, answer.json()["error_type"]) == (402, "over_cap")
        assert "day" in answer.json()["message"]
        own = ask(service, text, **{"X-Listwise-Budget": "0"})
    assert own.status_code == 200
    assert own.json()["listwise"]["receipt"]["over_cap"] == "query"


def test_each_key_spends_from_its_own_account(file: KeyFile) -> None:
    texts = [file.add(name)[1] for name in ("one", "two")]
    with (
        ScriptedServer("[2] > [1] > [3] > [4]") as llm,
        served(settings(asking(llm, cache="off"), keys=file.path)) as service,
    ):
        spent = [
            Decimal(str(ask(service, text).json()["listwise"]["receipt"]["usd"])) for text in (*texts, texts[0])
        ]
    lines = {line.name: line for line in History(default_path()).report("account")}
    assert lines.keys() == {"one", "two"}
    assert lines["one"].usd == spent[0] + spent[2] > lines["two"].usd == spent[1] > 0


def test_a_client_lowers_its_budget_and_never_raises_it(file: KeyFile) -> None:
    with (
        ScriptedServer("[2] > [1] > [3] > [4]") as llm,
        served(settings(asking(llm, budget_usd="0.0000001"), asking(llm))) as service,
    ):
        raised = ask(service, None, **{"X-Listwise-Budget": "100"}).json()["listwise"]
        other = ask(service, None, **{"X-Listwise-Policy": "second"}).json()["listwise"]
        lowered = ask(service, None, **{"X-Listwise-Policy": "second", "X-Listwise-Budget": "0.0000001"})
    assert raised["receipt"]["over_cap"] == "query"
    assert other["receipt"]["ordered_by"] == {"openai/gpt-4o": 1}
    assert (other["policy"], other["score_type"]) == ("second", "rank")
    assert lowered.json()["listwise"]["receipt"]["usd"] in (0, other["receipt"]["usd"])


def test_an_unpriced_llm_cannot_be_served_to_keys_with_caps(file: KeyFile) -> None:
    file.add("team")
    policy = Policy.of(llm="openai/not-a-model", base_url="http://127.0.0.1:1/v1")
    with pytest.raises(ConfigError, match="no price"), served(settings(policy, keys=file.path)):
        pass


def test_pace_goes_with_one_account_only(file: KeyFile) -> None:
    policy = Policy.of(llm="openai/gpt-4o", pace=True, budget_day_usd="1")
    with pytest.raises(ConfigError, match="account of its own"):
        settings(policy, keys=file.path)


def test_dollars_without_a_price_are_refused_in_words() -> None:
    with ScriptedServer("[2] > [1]") as server:
        unpriced = Policy.of(
            llm="vllm/loopback-1", base_url=server.base_url, local="none", escalate="always", cache="off"
        )
        with served(settings(unpriced)) as service:
            answer = ask(service, None, **{"x-listwise-budget": "0.01"})
        assert answer.status_code == 422, answer.text
        assert "no price is known of vllm/loopback-1" in answer.json()["message"]
        assert server.asked == []
