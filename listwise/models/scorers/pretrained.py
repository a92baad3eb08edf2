"""Weights without a graph: loaded by `transformers`, run by torch on the CPU, in batches of similar lengths.

No code of a directory is run: a model that brings its own is refused, unless there is an ONNX graph of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from listwise.errors import ConfigError, MissingExtra
from listwise.models.scorers.chunking import batches
from listwise.models.scorers.passages import Floats
from listwise.models.scorers.reading import Input, Reader

TOKENS_A_BATCH = 2048
"""Tokens, padding included, that are read at once."""


@contextmanager
def loading(path: Path, what: str, extra: str) -> Iterator[None]:
    """Turn what goes wrong while a model is loaded into one of our errors, and keep `transformers` quiet.

    Raises:
        MissingExtra: a library is not installed.
        ConfigError: the files cannot be used.
    """
    try:
        from safetensors import SafetensorError
        from transformers.utils import logging
    except ImportError as exc:
        raise MissingExtra(what, extra) from exc
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    except ImportError as exc:
        raise MissingExtra(what, extra) from exc
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as exc:  # what bad files raise
        raise ConfigError(f"{path} cannot be loaded: {exc}") from exc
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def refuse_code(path: Path, settings: dict[str, Any]) -> None:
    """Raise ConfigError where weights need Python code that comes with them."""
    if settings.get("auto_map"):
        raise ConfigError(
            f"{path} brings Python code of its own (auto_map in config.json), which is not run here; use a copy "
            "with an ONNX graph (onnx/model.onnx), or serve it with Text Embeddings Inference or vLLM"
        )


def reader_of(path: Path, max_tokens: int) -> Reader:
    """The reader of a directory with a ``tokenizer.json``, or with older files that `transformers` converts."""
    if (path / "tokenizer.json").is_file():
        return Reader.of(path / "tokenizer.json", max_tokens)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    return Reader(tokenizer.backend_tokenizer, max_tokens)


def padded(texts: Sequence[Input], pad: int) -> Iterator[tuple[list[int], dict[str, Any]]]:
    """Cut texts into batches of tensors, similar lengths together.

    Yields:
        Positions in ``texts``, and ``input_ids``, ``attention_mask`` and ``token_type_ids`` [batch, length].
    """
    from torch import from_numpy

    order = sorted(range(len(texts)), key=lambda place: len(texts[place].ids))
    for run in batches([len(texts[place].ids) for place in order], TOKENS_A_BATCH):
        places = order[run]
        shape = len(places), len(texts[places[-1]].ids)
        ids, mask, kinds = np.full(shape, pad, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, place in enumerate(places):
            length = len(texts[place].ids)
            ids[row, :length], kinds[row, :length], mask[row, :length] = texts[place].ids, texts[place].kinds, 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": kinds}
        yield places, {name: from_numpy(value) for name, value in inputs.items()}


def kinds_wanted(model: Any) -> bool:
    """Whether a model tells segments of several kinds apart."""
    return int(getattr(model.config, "type_vocab_size", None) or 0) > 1


class TorchClassifier:
    """A model for sequence classification of Hugging Face, loaded by sentence-transformers.

    Raises:
        MissingExtra: sentence-transformers is not installed.
        ConfigError: the files cannot be used.
    """

    def __init__(self, name: str, path: Path) -> None:
        with loading(path, f"the local model {name!r}, which has no ONNX graph,", "cross-encoder"):
            from sentence_transformers import CrossEncoder

            loaded = CrossEncoder(str(path), device="cpu", local_files_only=True, trust_remote_code=False)
            self._model: Any = loaded.model
        if self._model is None:
            raise ConfigError(f"{path} holds no model for sequence classification")
        self._model.eval()
        self._pad = int(getattr(self._model.config, "pad_token_id", None) or 0)

    def logits(self, texts: Sequence[Input]) -> Floats:
        """The logits of each text, [texts, labels]."""
        from torch import inference_mode

        logits: Floats | None = None
        for places, inputs in padded(texts, self._pad):
            if not kinds_wanted(self._model):
                del inputs["token_type_ids"]
            with inference_mode():
                found = self._model(**inputs).logits.float().numpy()
            if logits is None:
                logits = np.zeros((len(texts), found.shape[1]), np.float32)
            logits[places] = found
        assert logits is not None, "asked for the logits of nothing"
        return logits
