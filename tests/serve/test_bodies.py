"""What comes over a socket that no decent client sends: each has one answer, and the next client has its own."""

from __future__ import annotations

import gzip
import json
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from tests.serve.serving import DOCUMENTS, QUERY, Served, served, settings

GOOD = json.dumps({"query": QUERY, "documents": DOCUMENTS}).encode()
TEI = json.dumps({"query": QUERY, "texts": DOCUMENTS}).encode()
MOST = 100_000
JSON = "content-type: application/json"


@pytest.fixture(scope="module")
def service() -> Iterator[Served]:
    """One that takes bodies of `MOST` bytes."""
    with served(settings(body_bytes=MOST, body_s=0.3)) as service:
        yield service


def head(
    *more: str, length: int | None = None, path: str = "/v2/rerank", method: str = "POST", version: str = "1.1"
) -> bytes:
    stated = () if length is None else (f"content-length: {length}",)
    lines = (f"{method} {path} HTTP/{version}", "host: localhost", *stated, *more)
    return "\r\n".join([*lines, "", ""]).encode()


def whole(body: bytes, *more: str, **how: Any) -> bytes:
    return head(JSON, *more, length=len(body), **how) + body


def asked(**fields: str) -> bytes:
    """A request whose fields are written as they are given."""
    return ("{" + ", ".join(f'"{name}": {value}' for name, value in fields.items()) + "}").encode()


def said(service: Served, *pieces: bytes, answers: int = 1) -> tuple[list[int], bytes]:
    """The statuses that come back, and all that does; the service closes, or has said as much as is waited for."""
    host, port = service.url.removeprefix("http://").split(":")
    got = b""
    with socket.create_connection((host, int(port)), timeout=20) as client:
        with suppress(BrokenPipeError, ConnectionResetError):  # it need not read what it refuses
            for piece in pieces:
                client.sendall(piece)
        with suppress(ConnectionResetError):
            while more := client.recv(65536):
                got += more
                if len(_statuses(got)) == answers and _is_whole(got):
                    break
    return _statuses(got), got


def _statuses(got: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d+)", got)]


def _is_whole(got: bytes) -> bool:
    """Whether the last answer is there, of those whose length is stated."""
    start, _, body = got[got.rfind(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    stated = re.search(rb"content-length: (\d+)", start)
    return stated is not None and len(body) >= int(stated[1])


def chunks(size: int, count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b"%x\r\n%s\r\n" % (size, b" " * size)


UNREADABLE = (400, 422)
"""Of what is no JSON; which of the two is the parser's to say."""
DEEP = 100_000 // 2 - 50
REFUSED: dict[str, tuple[int | tuple[int, int], bytes]] = {
    "stated too long": (413, head(JSON, length=10**9)),
    "too long in chunks": (413, head(JSON, "transfer-encoding: chunked") + b"".join(chunks(30_000, 4))),
    "deep list": (UNREADABLE, whole(b"[" * DEEP + b"]" * DEEP)),
    "deep documents": (UNREADABLE, whole(asked(query='"q"', documents="[" * 40_000 + "]" * 40_000))),
    "deep object": (UNREADABLE, whole(b'{"a":' * 15_000 + b"1" + b"}" * 15_000)),
    "binary": (UNREADABLE, whole(bytes(range(256)) * 100)),
    "not utf-8": (UNREADABLE, whole(b'{"query": "\xff\xfe", "documents": ["x"]}')),
    "a lone surrogate": (UNREADABLE, whole(asked(query='"\\ud800"', documents='["x"]'))),
    "compressed": (415, whole(gzip.compress(GOOD), "content-encoding: gzip")),
    "said to be compressed": (415, whole(GOOD, "content-encoding: br")),
    "empty": (UNREADABLE, head(JSON, length=0)),
    "none": (UNREADABLE, head(JSON)),
    "text": (UNREADABLE, head("content-type: text/plain", length=len(GOOD)) + GOOD),
    "a form": (UNREADABLE, head("content-type: application/x-www-form-urlencoded", length=len(GOOD)) + GOOD),
    "of no kind": (UNREADABLE, head(length=len(GOOD)) + GOOD),
    "longer than stated": (UNREADABLE, head(JSON, length=5) + GOOD),
    "not a number": (UNREADABLE, whole(asked(query='"q"', documents='["x"]', top_n="NaN"))),
    "an infinity": (UNREADABLE, whole(asked(query='"q"', documents='["x"]', listwise='{"deadline_s": Infinity}'))),
    "a number beyond all": (
        UNREADABLE,
        whole(asked(query='"q"', documents='["x"]', listwise='{"budget_usd": 1e999}')),
    ),
    "a number of many digits": (UNREADABLE, whole(asked(query='"q"', documents='["x"]', top_n="9" * 5000))),
    "chunks that are none": (400, head(JSON, "transfer-encoding: chunked") + b"zz\r\n\r\n"),
    "two kinds of length": (400, head(JSON, "transfer-encoding: chunked", length=5) + b"5\r\nhello\r\n0\r\n\r\n"),
    "two lengths": (400, head(JSON, "content-length: 7", length=5) + b"hello"),
    "a negative length": (400, head(JSON, length=-5)),
    "a length beyond all": (400, head(JSON, length=10**30)),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50)),
    "no host": (400, b"GET /health/live HTTP/1.1\r\n\r\n"),
    "that never comes": (408, head(JSON, length=100) + b"{"),
    "that stops between chunks": (408, head(JSON, "transfer-encoding: chunked") + b"1\r\n{\r\n"),
    "HEAD": (405, head("connection: close", method="HEAD", length=0)),
    "OPTIONS": (405, head(method="OPTIONS", length=0)),
    "PUT": (405, whole(GOOD, method="PUT")),
    "a method of another protocol": (405, whole(GOOD, method="PROPFIND")),
}
TAKEN = {
    "the last of two fields counts": whole(asked(query='"x"', documents='["x"], "query": "why"')),
    "in chunks": head(JSON, "transfer-encoding: chunked") + b"%x\r\n%s\r\n0\r\n\r\n" % (len(GOOD), GOOD),
    "controls": whole(asked(query='"\\u0000\\u001b[2J"', documents='["\\u0000", ""]')),
    "another way to say JSON": head("content-type: application/vnd.x+json", length=len(GOOD)) + GOOD,
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(service: Served, what: str) -> None:
    status, sent = REFUSED[what]
    (found,), got = said(service, sent)
    assert found == status or found in (status if isinstance(status, tuple) else ())
    assert status != 405 or b"allow: POST" in got
    assert QUERY.encode() not in got
    assert said(service, whole(GOOD))[0] == [200]


@pytest.mark.parametrize("what", TAKEN)
def test_what_is_taken(service: Served, what: str) -> None:
    assert said(service, TAKEN[what])[0] == [200]


def test_what_to_do_about_a_body_of_no_kind_is_said(service: Served) -> None:
    _, got = said(service, head(length=len(GOOD)) + GOOD)
    assert b"Content-Type: application/json" in got


def test_a_pipelined_pair_is_answered_in_its_order(service: Served) -> None:
    statuses, got = said(service, whole(GOOD) + whole(TEI, path="/rerank"), answers=2)
    assert statuses == [200, 200]
    first, second = got.split(b"HTTP/1.1 ")[1:]
    assert b'"results"' in first
    assert second.partition(b"\r\n\r\n")[2].startswith(b'[{"index":')


def test_a_body_may_come_in_pieces(service: Served) -> None:
    assert said(service, head(JSON, length=len(GOOD)), *(GOOD[at : at + 1] for at in range(len(GOOD))))[0] == [200]


def test_http_1_0_is_answered_and_closed(service: Served) -> None:
    statuses, got = said(service, whole(GOOD, version="1.0"))
    assert statuses == [200]
    assert b'"results"' in got
    assert b"connection: close" in got.lower()


def test_who_expects_to_be_told_to_go_on_is_told(service: Served) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as client:
        client.sendall(head(JSON, "expect: 100-continue", length=len(GOOD)))
        assert client.recv(4096).startswith(b"HTTP/1.1 100")
        client.sendall(GOOD)
        assert client.recv(65536).startswith(b"HTTP/1.1 200")


def test_after_all_that_nothing_runs(service: Served) -> None:
    gate = service.service.gate
    assert (gate.running, gate.waiting) == (0, 0)
    assert {line["outcome"] for line in service.log.lines} <= {"ok", "invalid", "unknown", "gone"}
