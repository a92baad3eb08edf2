"""Collections by name, with the real ir_datasets on local files and loopback servers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from listwise.errors import ConfigError, InputError
from listwise.eval.collections import named, open_collection, summarise
from listwise.formats import Passage

QUERIES = b"q1\twhat is one\nq2\twhat is two\n"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("ir_datasets")
        for name, value in {
            "IR_DATASETS_HOME": str(home),
            "IR_DATASETS_TMP": str(home / "tmp"),
            "IR_DATASETS_DL_TRIES": "1",
            "IR_DATASETS_DL_TIMEOUT": "5",
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1",
        }.items():
            patch.setenv(name, value)
        yield pytest.importorskip("ir_datasets")


class Server:
    """Answers with a body, of which it may send less than it promises."""

    def __init__(self, body: bytes, sent: int | None = None) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[:sent])

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port

    def __enter__(self) -> Server:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def register(library: Any, name: str, folder: Path, queries: Any = None) -> None:
    from ir_datasets.formats import TrecQrels, TrecScoredDocs, TsvDocs, TsvQueries
    from ir_datasets.util import LocalDownload

    def local(file: str, text: str) -> Any:
        (folder / file).write_text(text)
        return LocalDownload(folder / file)

    docs = TsvDocs(local("docs.tsv", "d1\tone\nd2\ttwo\nd3\tthree\n"), namespace=name)
    qrels = TrecQrels(local("qrels", "q1 0 d1 1\nq1 0 d2 -100\nq2 0 d3 2\n"), {1: "yes"})
    run = TrecScoredDocs(local("run", "q1 Q0 d3 1 1.0 t\nq1 Q0 d2 2 3.0 t\nq1 Q0 d1 3 2.0 t\n"))
    topics = TsvQueries(queries or local("queries.tsv", QUERIES.decode()), namespace=name)
    library.registry.register(name, library.Dataset(docs))
    library.registry.register(f"{name}/test", library.Dataset(docs, topics, qrels, run))


def test_a_name_stands_for_its_judged_split(library: Any, tmp_path: Path) -> None:
    register(library, "listwise-a", tmp_path)
    found = open_collection("listwise-a")
    assert found.queries() == {"q1": "what is one", "q2": "what is two"}
    assert found.qrels() == {"q1": {"d1": 1}, "q2": {"d3": 2}}
    assert found.runs() == ["scoreddocs"]
    assert [(entry.docid, entry.score) for entry in found.run("scoreddocs")["q1"]] == [("d1", 2.0), ("d3", 1.0)]
    assert found.passages({"d3", "d1", "d9"}) == {"d1": Passage("one", None), "d3": Passage("three", None)}
    assert [docid for docid, _ in found.stream()] == ["d1", "d2", "d3"]
    summary = summarise(found, read=2)
    assert (summary.judged, summary.passages, summary.runs[0].recall) == (2, None, 0.5)
    with pytest.raises(InputError, match="no run 'bm25': there is scoreddocs"):
        found.run("bm25")
    with pytest.raises(ConfigError, match="no collection 'listwise-a/dev'"):
        open_collection("listwise-a", split="dev")


def test_short_names_and_those_of_beir_and_bright_are_known(library: Any) -> None:
    for name in (*named.SHORT_NAMES, "beir/scifact", "bright/biology"):
        assert open_collection(name).passage_count()
    assert {"beir/scifact/test", "bright/pony"} <= set(named.known_names(("beir/", "bright/")))
    with pytest.raises(ConfigError, match="no collection 'noveleval'"):
        open_collection("noveleval")


def test_without_a_network_it_says_so_and_leaves_nothing_behind(library: Any) -> None:
    """All requests go to a proxy on a closed port."""
    with pytest.raises(InputError, match=r"beir/scifact: ir_datasets cannot provide it: .*Is there a network\?"):
        open_collection("beir/scifact").queries()
    left = [path for path in Path(os.environ["IR_DATASETS_HOME"], "beir").rglob("*") if path.is_file()]
    assert {path.name for path in left} <= {"irds_version.txt"}


def test_a_download_that_breaks_off_is_no_download_and_the_next_one_shows_its_progress(
    library: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from ir_datasets.util import Download, RequestsDownload

    cached = tmp_path / "cached" / "queries.tsv"
    with Server(QUERIES, sent=10) as broken:
        download = Download([RequestsDownload(f"http://127.0.0.1:{broken.port}/q")], cache_path=str(cached))
        register(library, "listwise-b", tmp_path, download)
        found = open_collection("listwise-b")
        with pytest.raises(InputError, match="listwise-b: ir_datasets cannot provide it"):
            found.queries()
    assert not list(cached.parent.iterdir())
    with Server(QUERIES) as whole:
        download.mirrors[:] = [RequestsDownload(f"http://127.0.0.1:{whole.port}/q")]
        assert found.queries() == {"q1": "what is one", "q2": "what is two"}
        assert f"[finished] http://127.0.0.1:{whole.port}/q: " in caplog.text
    assert found.queries()["q1"] == "what is one"


def test_a_store_that_could_not_be_built_is_built_next_time(library: Any, tmp_path: Path) -> None:
    register(library, "listwise-c", tmp_path)
    whole = (tmp_path / "docs.tsv").read_text()
    (tmp_path / "docs.tsv").write_text("d1\tone\nno tab\n")
    found = open_collection("listwise-c")
    with pytest.raises(InputError, match="listwise-c: ir_datasets cannot provide it"):
        found.passages({"d1"})
    (tmp_path / "docs.tsv").write_text(whole)
    assert found.passages({"d3"}) == {"d3": Passage("three", None)}


@pytest.mark.parametrize("online", [True, False])
def test_a_missing_network_is_noticed_before_any_wait(monkeypatch: pytest.MonkeyPatch, online: bool) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Server(b"") as server:
        monkeypatch.setattr(named, "MIRROR", ("127.0.0.1", server.port if online else 9))
        assert named._online.__wrapped__() is online


def test_behind_a_proxy_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setattr(named, "MIRROR", ("127.0.0.1", 9))
    assert named._online.__wrapped__()
