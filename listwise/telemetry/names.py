"""All names by which spans are known to the outside, and nothing else.

Those that are not our own are OpenTelemetry's: `gen_ai.*` from its GenAI conventions, which are in development and
have been in a repository of their own since 2026 (open-telemetry/semantic-conventions-genai); the others are from
its general ones, version 1.44. Where they rename something, it is renamed here: a test compares with their list.
"""

from __future__ import annotations

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
MAX_TOKENS = "gen_ai.request.max_tokens"
TEMPERATURE = "gen_ai.request.temperature"
SEED = "gen_ai.request.seed"
REASONING_LEVEL = "gen_ai.request.reasoning.level"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS = "gen_ai.usage.cache_write.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
QUERY_TEXT = "gen_ai.retrieval.query.text"
"""Only where the operator asks for queries."""

ERROR_TYPE = "error.type"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"

HTTP_METHOD = "http.request.method"
HTTP_ROUTE = "http.route"
HTTP_STATUS = "http.response.status_code"
URL_PATH = "url.path"
URL_SCHEME = "url.scheme"
PROTOCOL_VERSION = "network.protocol.version"

CHAT = "chat"
RERANK = "rerank"
"""No operation of the conventions fits a rerank API, which leave room for others."""
OTHER_METHOD = "_OTHER"
OTHER_METHOD_IN_NAME = "HTTP"

INFERENCE_DURATION = "gen_ai.client.inference.duration"
"""A metric, in seconds; `INFERENCE_BUCKETS` are the convention's."""
INFERENCE_BUCKETS = (
    *(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
)  # fmt: skip

REQUEST_ID = "listwise.request_id"
OUTCOME = "listwise.outcome"
POLICY = "listwise.policy"

QID = "listwise.qid"
ROUTE = "listwise.route"
TIER = "listwise.tier"
CANDIDATES = "listwise.candidates"
CALLS = "listwise.calls"
CACHE_HITS = "listwise.cache_hits"
RETRIES = "listwise.retries"
USD = "listwise.usd"
DEGRADED = "listwise.degraded"
OVER_CAP = "listwise.over_cap"

PASSAGES = "listwise.passages"
CACHED = "listwise.cached"

SCORER = "listwise.scorer"
WAIT_S = "listwise.wait_s"
