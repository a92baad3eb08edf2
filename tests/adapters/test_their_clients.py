"""Vendors' and libraries' own clients of rerank APIs, against a real `listwise serve` process with keys."""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest

from listwise import Reranker
from listwise.serve.keys import KeyFile
from tests.adapters.test_docs import CLIENTS
from tests.cli.conftest import Shell
from tests.serve.test_commands import answers, serving
from tests.serve.test_staying_up import until

pytestmark = [pytest.mark.adapters, pytest.mark.filterwarnings("ignore")]  # what they warn of is theirs

QUERY = "why is the sky blue"
TEXTS = [
    "Blue paint dries within an hour.",
    "Grass is green because of chlorophyll.",
    "The sky is blue because air scatters blue light most.",
    "Whales are mammals.",
    "Sunsets are red because the light takes a longer way through the air.",
    "The capital of France is Paris.",
]


@dataclass(frozen=True, slots=True)
class Service:
    """A running service, with a key that may do anything, and one that may ask once."""

    url: str
    key: str
    limited: Callable[[], str]


Rank = Callable[[Service, str, str, Sequence[str], int], Sequence[str]]
"""Service, key, query, texts, how many are wanted: the best of them."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    file = KeyFile(folder / "keys.json")
    key = file.add("clients")[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LISTWISE_KEYS", str(file.path))
        with serving(Shell(folder)) as (_, url):
            until(lambda: answers(url))
            yield Service(url, key, lambda: file.add("limited", rate=1)[1])


@pytest.fixture(autouse=True)
def _theirs_is_let_go() -> Iterator[None]:
    """Sockets that clients leave open are closed now, where nobody minds, and not in the middle of another test."""
    yield
    gc.collect()


def cohere_v2(at: Service, key: str, query: str, texts: Sequence[str], top: int) -> list[str]:
    import cohere

    client = cohere.ClientV2(api_key=key, base_url=at.url)
    found = client.rerank(
        model="default", query=query, documents=texts, top_n=top, request_options={"max_retries": 0}
    )
    return [texts[each.index] for each in found.results]


def cohere_v2_async(at: Service, key: str, query: str, texts: Sequence[str], top: int) -> list[str]:
    import cohere

    async def work() -> Any:
        async with cohere.AsyncClientV2(api_key=key, base_url=at.url) as client:
            return await client.rerank(
                model="default", query=query, documents=texts, top_n=top, request_options={"max_retries": 0}
            )

    return [texts[each.index] for each in asyncio.run(work()).results]


def cohere_v1(at: Service, key: str, query: str, texts: Sequence[str], top: int) -> list[str]:
    import cohere

    client = cohere.Client(api_key=key, base_url=at.url)
    found = client.rerank(
        model="default",
        query=query,
        documents=list(texts),
        top_n=top,
        return_documents=True,
        request_options={"max_retries": 0},
    )
    assert all(each.document is not None and each.document.text == texts[each.index] for each in found.results)
    return [texts[each.index] for each in found.results]


def voyage(at: Service, key: str, query: str, texts: Sequence[str], top: int) -> list[str]:
    import voyageai

    client = voyageai.Client(api_key=key, base_url=f"{at.url}/voyage/v1")
    return [each.document for each in client.rerank(query, list(texts), model="default", top_k=top).results]


def voyage_async(at: Service, key: str, query: str, texts: Sequence[str], top: int) -> list[str]:
    import voyageai

    client = voyageai.AsyncClient(api_key=key, base_url=f"{at.url}/voyage/v1")
    found = asyncio.run(client.rerank(query, list(texts), model="default", top_k=top))
    return [each.document for each in found.results]


def _langchain(reranker: Any, query: str, texts: Sequence[str]) -> list[str]:
    from langchain_core.documents import Document

    found = reranker.compress_documents([Document(text) for text in texts], query)
    scores = [each.metadata["relevance_score"] for each in found]
    assert scores == sorted(scores, reverse=True)
    return [each.page_content for each in found]


def langchain_cohere(at: Service, key: str, query: str, texts: Sequence[str], top: int) -> list[str]:
    from langchain_cohere import CohereRerank

    return _langchain(CohereRerank(model="default", cohere_api_key=key, base_url=at.url, top_n=top), query, texts)


def langchain_voyage(at: Service, key: str, query: str, texts: Sequence[str], top: int) -> list[str]:
    from langchain_voyageai import VoyageAIRerank

    there = f"{at.url}/voyage/v1"
    return _langchain(VoyageAIRerank(model="default", api_key=key, base_url=there, top_k=top), query, texts)


def langchain_voyage_async(at: Service, key: str, query: str, texts: Sequence[str], top: int) -> list[str]:
    from langchain_core.documents import Document
    from langchain_voyageai import VoyageAIRerank

    reranker = VoyageAIRerank(model="default", api_key=key, base_url=f"{at.url}/voyage/v1", top_k=top)
    found = asyncio.run(reranker.acompress_documents([Document(text) for text in texts], query))
    return [each.page_content for each in found]


def langchain_jina(at: Service, key: str, query: str, texts: Sequence[str], top: int) -> list[str]:
    from langchain_community.document_compressors import JinaRerank, jina_rerank

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jina_rerank, "JINA_API_URL", f"{at.url}/v1/rerank")
        return _langchain(JinaRerank(model="default", jina_api_key=key, top_n=top), query, texts)


def _llama_index(reranker: Any, query: str, texts: Sequence[str]) -> list[str]:
    from llama_index.core.schema import NodeWithScore, TextNode

    nodes = [NodeWithScore(node=TextNode(text=text)) for text in texts]
    return [each.text for each in reranker.postprocess_nodes(nodes, query_str=query)]


def llama_index_cohere(at: Service, key: str, query: str, texts: Sequence[str], top: int) -> list[str]:
    from llama_index.postprocessor.cohere_rerank import CohereRerank

    return _llama_index(CohereRerank(model="default", api_key=key, base_url=at.url, top_n=top), query, texts)


def llama_index_jina(at: Service, key: str, query: str, texts: Sequence[str], top: int) -> list[str]:
    from llama_index.postprocessor.jinaai_rerank import JinaRerank

    return _llama_index(JinaRerank(model="default", api_key=key, base_url=f"{at.url}/v1", top_n=top), query, texts)


def llama_index_tei(at: Service, key: str, query: str, texts: Sequence[str], top: int) -> list[str]:
    from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

    reranker = TextEmbeddingInference(base_url=at.url, auth_token=f"Bearer {key}", top_n=top)
    return _llama_index(reranker, query, texts)


def haystack_cohere(at: Service, key: str, query: str, texts: Sequence[str], top: int) -> list[str]:
    from haystack import Document
    from haystack.utils import Secret
    from haystack_integrations.components.rankers.cohere import CohereRanker

    ranker = CohereRanker(model="default", api_key=Secret.from_token(key), api_base_url=at.url, top_k=top)
    documents = [Document(content=text) for text in texts]
    return [each.content for each in ranker.run(query=query, documents=documents)["documents"]]


@dataclass(frozen=True, slots=True)
class Client:
    """One client: the module that it needs, and its own errors."""

    rank: Rank
    module: str
    invalid: str
    """Where its error for a request that is refused as wrong is found (422)."""
    unauthorized: str
    limited: str | None = None
    """For one too many (429); None where it waits and asks again by itself."""


UNPROCESSABLE, UNAUTHORIZED = "cohere.UnprocessableEntityError", "cohere.UnauthorizedError"
TOO_MANY = "cohere.TooManyRequestsError"
INVALID, WRONG_KEY = "voyageai.error.MalformedRequestError", "voyageai.error.AuthenticationError"
RATE = "voyageai.error.RateLimitError"
RUNTIME = "builtins.RuntimeError"
CLIENTS_TRIED = {
    "cohere, v2": Client(cohere_v2, "cohere", UNPROCESSABLE, UNAUTHORIZED, TOO_MANY),
    "cohere, v2, async": Client(cohere_v2_async, "cohere", UNPROCESSABLE, UNAUTHORIZED, TOO_MANY),
    "cohere, v1": Client(cohere_v1, "cohere", UNPROCESSABLE, UNAUTHORIZED, TOO_MANY),
    "voyageai": Client(voyage, "voyageai", INVALID, WRONG_KEY, RATE),
    "voyageai, async": Client(voyage_async, "voyageai", INVALID, WRONG_KEY, RATE),
    "langchain-cohere": Client(langchain_cohere, "langchain_cohere", UNPROCESSABLE, UNAUTHORIZED),
    "langchain-voyageai": Client(langchain_voyage, "langchain_voyageai", INVALID, WRONG_KEY, RATE),
    "langchain-voyageai, async": Client(langchain_voyage_async, "langchain_voyageai", INVALID, WRONG_KEY, RATE),
    "langchain-community, Jina": Client(langchain_jina, "langchain_community", RUNTIME, RUNTIME, RUNTIME),
    "llama-index, Cohere": Client(
        llama_index_cohere, "llama_index.postprocessor.cohere_rerank", UNPROCESSABLE, UNAUTHORIZED
    ),
    "llama-index, Jina": Client(
        llama_index_jina, "llama_index.postprocessor.jinaai_rerank", RUNTIME, RUNTIME, RUNTIME
    ),
    "llama-index, TEI": Client(
        llama_index_tei,
        "llama_index.postprocessor.tei_rerank",
        *("builtins.AssertionError", "builtins.AssertionError", "builtins.AssertionError"),
    ),
    "cohere-haystack": Client(
        haystack_cohere, "haystack_integrations.components.rankers.cohere", UNPROCESSABLE, UNAUTHORIZED
    ),
}


def _there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _error(name: str) -> type[Exception]:
    module, _, name = name.rpartition(".")
    error: type[Exception] = getattr(import_module(module), name)
    return error


@pytest.fixture(params=CLIENTS_TRIED)
def client(request: pytest.FixtureRequest) -> Client:
    found = CLIENTS_TRIED[request.param]
    if not _there(found.module):
        pytest.skip(f"needs {found.module}: make test-adapters")
    return found


def test_the_order_is_the_rerankers_and_as_many_come_as_are_wanted(client: Client, service: Service) -> None:
    with Reranker("offline") as reranker:
        order = [each.text for each in reranker.rerank(QUERY, TEXTS).candidates]
    assert order[0] == TEXTS[2]
    for top in (1, 3, len(TEXTS)):
        assert client.rank(service, service.key, QUERY, TEXTS, top) == order[:top]


def test_what_is_refused_is_the_clients_own_error(client: Client, service: Service) -> None:
    with pytest.raises(_error(client.invalid)):
        client.rank(service, service.key, "", TEXTS, 1)
    with pytest.raises(_error(client.unauthorized)):
        client.rank(service, "lw_00000000_wrong", QUERY, TEXTS, 1)


def test_one_too_many_is_the_clients_own_error(client: Client, service: Service) -> None:
    if client.limited is None:
        pytest.skip("it asks again by itself, after the minute that it is told to wait")
    key = service.limited()
    client.rank(service, key, QUERY, TEXTS, 1)
    with pytest.raises(_error(client.limited)):
        client.rank(service, key, QUERY, TEXTS, 1)


EXAMPLES = re.findall(r"```python\n(.*?)```", CLIENTS, re.DOTALL)
(PRINTED,) = re.findall(r"```text\n(.*?)```", CLIENTS, re.DOTALL)


PACKAGES = re.findall(r"pip install ([\w-]+)", CLIENTS)


@pytest.mark.parametrize("code", EXAMPLES, ids=PACKAGES)
def test_an_example_runs(
    code: str, service: Service, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in re.findall(r"^(?:from|import) (\S+)", code, re.MULTILINE):
        pytest.importorskip(module, reason=f"needs {module}: make test-adapters", exc_type=ImportError)
    if "JINA_API_URL" in code:
        jina = import_module("langchain_community.document_compressors.jina_rerank")
        monkeypatch.setattr(jina, "JINA_API_URL", jina.JINA_API_URL)
    script = code.replace("http://127.0.0.1:8000", service.url).replace('KEY"', f'{service.key}"')
    exec(compile(script, "docs/adapters.md", "exec"), {"__name__": "__main__"})
    assert capfd.readouterr().out == PRINTED
