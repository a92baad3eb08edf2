"""What the OpenAPI description says beyond what FastAPI knows: answers, refusals, headers, keys, bounds.

It is made when it is first asked for. Nothing here runs for a ranking: the models say what `listwise.serve.answers`
writes, and tests hold them against it.
"""

from __future__ import annotations

from typing import Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema
from pydantic_core.core_schema import DecimalSchema

from listwise.serve.gateway import OPEN
from listwise.serve.metrics import OPENMETRICS
from listwise.serve.scores import ScoreType
from listwise.serve.settings import Limits, ServeSettings
from listwise.types import Receipt

JSON, TEXT = "application/json", "text/plain"
AMOUNT = r"^[0-9]{1,9}(\.[0-9]{1,9})?$"
Schema = dict[str, Any]


class _Said(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class Extra(_Said):
    """What no vendor's shape has: how the scores are to be read, and the receipt."""

    policy: str
    score_type: ScoreType
    """`probability` is that of a calibrated local model, and compares over queries; `rank` says only the order."""
    receipt: Receipt


class Rank(_Said):
    """A document's place."""

    index: int
    """Of the document in the request."""
    relevance_score: float = Field(ge=0, le=1)
    document: Any = None
    """As it was sent, a text by itself as `{"text": ...}`; only with `return_documents`."""


class BilledUnits(_Said):
    """Cohere's measure of the work; no bill."""

    search_units: int
    """Hundreds of documents, rounded up."""


class Meta(_Said):
    """As Cohere's."""

    api_version: dict[Literal["version"], str]
    billed_units: BilledUnits
    tokens: dict[Literal["input_tokens"], int]


class CohereV2Answer(_Said):
    """The order, in the shape of Cohere's second version."""

    id: str
    results: list[Rank]
    meta: Meta
    listwise: Extra


class Usage(_Said):
    """Tokens of the query with every document; no bill."""

    total_tokens: int
    prompt_tokens: int


class RerankV1Answer(CohereV2Answer):
    """The order, in the shape of Cohere's first version, Jina's and vLLM's in one."""

    object: Literal["list"]
    model: str
    usage: Usage


class VoyageRank(_Said):
    """A document's place."""

    index: int
    relevance_score: float = Field(ge=0, le=1)
    document: str | None = None
    """Only with `return_documents`."""


class VoyageAnswer(_Said):
    """The order, in Voyage's shape."""

    object: Literal["list"]
    data: list[VoyageRank]
    model: str
    usage: dict[Literal["total_tokens"], int]
    listwise: Extra


class TeiRank(_Said):
    """A text's place, in the shape of Text Embeddings Inference."""

    index: int
    score: float
    """In [0, 1]; with `raw_scores` the local model's own, where a calibrated one decided."""
    text: str | None = None
    """Only with `return_text`."""


class Refused(_Said):
    """Why there is no ranking; the same text three times, where the vendors' clients look for it."""

    message: str
    detail: str
    error: str
    error_type: str
    """One word, as in the metrics."""


MODELS: tuple[type[BaseModel], ...] = (CohereV2Answer, RerankV1Answer, VoyageAnswer, TeiRank, Refused)
RANKINGS: dict[str, Schema] = {
    "/v2/rerank": {"$ref": "#/components/schemas/CohereV2Answer"},
    "/v1/rerank": {"$ref": "#/components/schemas/RerankV1Answer"},
    "/voyage/v1/rerank": {"$ref": "#/components/schemas/VoyageAnswer"},
    "/rerank": {"type": "array", "items": {"$ref": "#/components/schemas/TeiRank"}},
}
MANY = "Too many requests of this key, or at all: come again after `Retry-After` seconds."
REFUSALS = {
    400: "The body is not what its headers say, or the host is not one that this service answers to.",
    402: "No dollars are left, and the service refuses without.",
    408: "The body came too slowly.",
    413: "The body is too long.",
    415: "The body is compressed.",
    422: "The body or a header is not the endpoint's; the message names the field.",
    429: MANY,
    500: "A bug; the log has it under the request's id.",
    502: "The LLM could not be asked, and its policy says to fail.",
}
UNAUTHORIZED = "A key is needed, and none that is valid was given."
STOPPING = "The service stops: come again after `Retry-After` seconds."

_TEXT_HEADER: Schema = {"schema": {"type": "string"}}
REQUEST_ID: Schema = {
    "x-request-id": {**_TEXT_HEADER, "description": "The request's name in receipt, log and ledger."}
}
RETRY_AFTER: Schema = {"retry-after": {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds."}}
RECEIPT_HEADERS: Schema = {
    "x-listwise-policy": _TEXT_HEADER,
    "x-listwise-route": _TEXT_HEADER,
    "x-listwise-score-type": _TEXT_HEADER,
    "x-listwise-usd": {**_TEXT_HEADER, "description": "Spent for this request."},
    "x-listwise-degraded": {"schema": {"type": "integer"}, "description": "How many things went otherwise."},
    "x-compute-tokens": {"schema": {"type": "integer"}},
}


class _Written(GenerateJsonSchema):
    def decimal_schema(self, schema: DecimalSchema) -> Schema:
        """Dollars are numbers, as `listwise.scores.receipt_record` writes them."""
        return {"type": "number"}


def described(app: FastAPI, settings: ServeSettings) -> Schema:
    """The whole description."""
    schema = FastAPI.openapi(app)
    answers: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "serialization") for model in MODELS]
    _, own = models_json_schema(answers, ref_template="#/components/schemas/{model}", schema_generator=_Written)
    schemas = schema["components"]["schemas"]
    schemas.update(own["$defs"])
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for each in schemas.values():
        _bound(each.get("properties", {}), settings.limits)
    _describe_wish(schemas["Wish"]["properties"], list(settings.policies))
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            _describe(
                operation, settings, ranks=method == "post", keys=settings.keys is not None and path not in OPEN
            )
            if path not in OPEN:
                operation["responses"]["503"] = _refusal(STOPPING, 503)
    for path, answer in RANKINGS.items():
        schema["paths"][path]["post"]["responses"]["200"] = _ranking(answer)
    _describe_health(schema["paths"])
    if settings.keys is not None:
        schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return schema


def _describe(operation: Schema, settings: ServeSettings, *, ranks: bool, keys: bool) -> None:
    """What holds for any endpoint: what it refuses, whether it needs a key, and what may be wished of a ranking."""
    refused = {**(REFUSALS if ranks else {400: REFUSALS[400]}), **({401: UNAUTHORIZED, 429: MANY} if keys else {})}
    operation["responses"] |= {str(status): _refusal(said, status) for status, said in refused.items()}
    if ranks:
        operation["parameters"] = _parameters(list(settings.policies))
    if keys:
        operation["security"] = [{"key": []}]


def _ranking(answer: Schema) -> Schema:
    headers = {**REQUEST_ID, **RECEIPT_HEADERS}
    return {"description": "The order, best first.", "headers": headers, "content": {JSON: {"schema": answer}}}


def _describe_health(paths: Schema) -> None:
    status = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}
    answer = {"content": {JSON: {"schema": status}}, "headers": REQUEST_ID}
    paths["/health/live"]["get"]["responses"]["200"] = {"description": "It lives.", **answer}
    ready = paths["/health/ready"]["get"]["responses"]
    ready["200"] = {"description": "Send requests here.", **answer}
    ready["503"] = {"description": "It stops: send none.", **answer}
    text = {"schema": {"type": "string"}}
    figures = {"description": "As Prometheus reads it.", "content": {TEXT: text, OPENMETRICS: text}}
    paths["/metrics"]["get"]["responses"]["200"] = {**figures, "headers": REQUEST_ID}


def _refusal(said: str, status: int) -> Schema:
    content = {JSON: {"schema": {"$ref": "#/components/schemas/Refused"}}}
    if status == 400:
        content[TEXT] = {"schema": {"type": "string"}}  # a host that it does not answer to
    headers = REQUEST_ID if status != 400 else {}
    if status in (429, 503):
        headers = {**headers, **RETRY_AFTER}
    if status == 401:
        headers = {**headers, "www-authenticate": _TEXT_HEADER}
    return {"description": said, "content": content, "headers": headers}


def _parameters(policies: list[str]) -> list[Schema]:
    positive: Schema = {"type": "number", "exclusiveMinimum": 0}
    wishes: dict[str, tuple[Schema, str]] = {
        "X-Listwise-Policy": ({"type": "string", "enum": policies}, "One of the policies offered."),
        "X-Listwise-Budget": ({"type": "number", "minimum": 0}, "Dollars that this request may cost."),
        "X-Listwise-Deadline": (positive, "Seconds that it may take, waiting included."),
    }
    return [
        {"name": name, "in": "header", "required": False, "schema": schema, "description": said}
        for name, (schema, said) in wishes.items()
    ]


def _describe_wish(properties: Schema, policies: list[str]) -> None:
    properties["policy"]["anyOf"] = [{"type": "string", "enum": policies}, {"type": "null"}]
    for each in properties["budget_usd"]["anyOf"]:
        if each["type"] == "string":
            each["pattern"] = AMOUNT


def _bound(properties: Schema, limits: Limits) -> None:
    """Put the operator's bounds into the schema of a body that asks for a ranking."""
    documents = properties.get("documents") or properties.get("texts")
    if documents is None:
        return
    properties["query"]["maxLength"] = limits.query_chars
    documents["maxItems"] = limits.documents
    for each in documents["items"].get("anyOf", [documents["items"]]):
        if each.get("type") == "string":
            each["maxLength"] = limits.document_chars
