"""A cross-encoder in training: a BERT that reads query and passage together and gives one logit.

The trainer knows no epochs and no files: a caller puts lessons to it, one step at a time, at a rate of his choice.
It leaves the process as it is; a program of its own is faster with ``torch.set_flush_denormal(True)``, and, where
other programs run beside it, with ``OMP_WAIT_POLICY=PASSIVE`` in its environment from the start.

    model = PairEncoder(Path("MiniLM-L6"), max_tokens=256)
    trainer = Trainer(model)
    for step, lessons in enumerate(batches):
        loss = trainer.step(lessons, triangle(step, len(batches), peak=5e-5))
    scores = trainer.score("why is the sky blue", passages)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tokenizers import Encoding, Tokenizer
from torch import Tensor, nn
from transformers import BertForSequenceClassification
from transformers.utils import logging as transformers_logging

from listwise.distill.lessons import Lesson, LossName
from listwise.distill.losses import LOSSES, Loss
from listwise.errors import ConfigError

TOKENS_A_BATCH = 4096
"""Tokens, padding included, that go through the network at once."""
CHARS_A_TOKEN = 16
"""Characters times the token limit that are tokenized; what lies behind them would hardly be read."""
WEIGHT_DECAY = 0.01
LARGEST_GRADIENT = 1.0
"""Norm to which the gradient of a step is clipped."""


class Batch(NamedTuple):
    """Pairs of similar length, padded to one another."""

    places: list[int]
    """Where the pairs stand in what was given."""
    ids: Tensor
    """[pairs, length], as are the next two."""
    mask: Tensor
    kinds: Tensor


class PairEncoder(nn.Module):  # type: ignore[misc]  # torch need not be installed to check types
    """A BERT with one logit, and its tokenizer.

    Args:
        start: a Hugging Face directory of a BERT, as an encoder or for sequence classification with one label or
            two, with safetensors and a ``tokenizer.json``. Two labels become one: the difference of their logits.
        max_tokens: longest input; of what is longer, the longer of query and passage is cut first.
        seed: of the head's first weights, where ``start`` has no head.

    Raises:
        ConfigError: no such model can be read there.
    """

    def __init__(self, start: Path, max_tokens: int, seed: int = 0) -> None:
        super().__init__()
        self.start, self.has_head = start, _check(start, max_tokens)
        self.network = _read_network(start, seed)
        self.tokenizer = Tokenizer.from_file(str(start / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.read_at_most(max_tokens)

    def read_at_most(self, max_tokens: int) -> None:
        """Cut pairs to another length from now on: training on short ones costs less."""
        self.max_tokens = max_tokens
        self.tokenizer.enable_truncation(max_tokens)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def forward(self, ids: Tensor, mask: Tensor, kinds: Tensor) -> Tensor:
        """Logits, [pairs], of token ids, mask and segments, [pairs, length]."""
        logits = self.network(input_ids=ids, attention_mask=mask, token_type_ids=kinds).logits
        return logits.squeeze(-1).float()

    def batches(self, pairs: Sequence[tuple[str, str]], tokens: int = TOKENS_A_BATCH) -> Iterator[Batch]:
        """Tokenize pairs of query and passage, and cut them into batches of at most ``tokens``, like lengths
        together."""
        longest = self.max_tokens * CHARS_A_TOKEN
        read = self.tokenizer.encode_batch_fast([(query[:longest], text[:longest]) for query, text in pairs])
        lengths = [len(one) for one in read]
        for places in bucketed(lengths, tokens):
            yield _padded(places, [read[place] for place in places], self.device)


class Trainer:
    """Moves a model towards its teachers, one step at a time.

    Dropout is off: it costs a third of the time, and a step draws other passages each time. Matrix products are in
    bf16 where the processor has it. All parameters are trained that require a gradient when the trainer is made.
    """

    def __init__(
        self,
        model: PairEncoder,
        *,
        tokens_a_batch: int = TOKENS_A_BATCH,
        losses: Mapping[LossName, Loss] = LOSSES,
    ) -> None:
        self.model = model.eval()
        self._tokens, self._losses = tokens_a_batch, losses
        self.parameters = {name: one for name, one in model.named_parameters() if one.requires_grad}
        decayed, plain = _by_decay(self.parameters)
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": plain, "weight_decay": 0.0}],
            fused=True,
        )
        self.half = half_precision(model.device)

    def step(self, lessons: Sequence[Lesson], rate: float) -> float:
        """One step at a learning rate over the mean loss of some lessons, which is returned.

        Memory grows with the tokens of all lessons together: nothing is computed twice.

        Raises:
            FloatingPointError: the loss is not finite; the weights are as before.
        """
        scores = self._logits([(lesson.query, text) for lesson in lessons for text in lesson.passages])
        loss = scores.new_zeros(())
        parts = scores.split([len(lesson.passages) for lesson in lessons])
        for lesson, part in zip(lessons, parts, strict=True):
            wanted = torch.from_numpy(lesson.utilities).to(scores)
            loss = loss + self._losses[lesson.loss](part, wanted) / len(lessons)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss.item()}: a smaller learning rate may help")
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters.values(), LARGEST_GRADIENT, foreach=True)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        return float(loss.detach())

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """Logits of some passages."""
        return self._logits([(query, text) for text in passages]).tolist() if passages else []

    def _logits(self, pairs: Sequence[tuple[str, str]]) -> Tensor:
        """[pairs], in the order given."""
        places: list[int] = []
        logits = []
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.half):
            for batch in self.model.batches(pairs, self._tokens):
                places += batch.places
                logits.append(self.model(batch.ids, batch.mask, batch.kinds))
        return torch.cat(logits)[torch.tensor(places, device=self.model.device).argsort()]

    def state(self) -> dict[str, Tensor]:
        """Weights and the optimizer's moments by name, on the processor: all that a step changes."""
        kept = {f"weights.{name}": value for name, value in self.model.state_dict().items()}
        for name, parameter in self.parameters.items():
            kept |= {f"{kind}.{name}": value for kind, value in self.optimizer.state[parameter].items()}
        return {name: value.detach().to("cpu", copy=True).contiguous() for name, value in kept.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a `state` of the same model."""
        by_kind: dict[str, dict[str, Tensor]] = {}
        for key, value in state.items():
            kind, _, name = key.partition(".")
            by_kind.setdefault(kind, {})[name] = value
        self.model.load_state_dict(by_kind.pop("weights"))
        for name, parameter in self.parameters.items():
            moments = {
                kind: values[name].to(parameter.device) for kind, values in by_kind.items() if name in values
            }
            if moments:
                self.optimizer.state[parameter] = moments


def triangle(step: int, steps: int, peak: float, warm_up: float = 0.1) -> float:
    """A learning rate: linear up to its peak over the share ``warm_up`` of the steps, then linear down to zero."""
    rising = max(1, round(steps * warm_up))
    return peak * min((step + 1) / rising, max(0.0, (steps - step) / max(1, steps - rising)))


def bucketed(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Places of similar length together, in runs of at most ``tokens`` once padded, or of a single place."""
    run: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: lengths[place]):
        if run and lengths[place] * (len(run) + 1) > tokens:
            yield run
            run = []
        run.append(place)
    if run:
        yield run


def half_precision(device: torch.device) -> bool:
    """Whether bf16 products pay: on GPUs that have them, and on processors with AMX or AVX-512 BF16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


def _padded(places: list[int], read: Sequence[Encoding], device: torch.device) -> Batch:
    longest = max(len(one) for one in read)
    ids, mask, kinds = (torch.zeros(len(read), longest, dtype=torch.long) for _ in range(3))
    for row, one in enumerate(read):
        ids[row, : len(one)] = torch.tensor(one.ids)
        kinds[row, : len(one)] = torch.tensor(one.type_ids)
        mask[row, : len(one)] = 1
    return Batch(places, ids.to(device), mask.to(device), kinds.to(device))


def _by_decay(parameters: Mapping[str, nn.Parameter]) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Matrices, which decay, and vectors, which do not."""
    decayed = [one for one in parameters.values() if one.ndim > 1]
    return decayed, [one for one in parameters.values() if one.ndim <= 1]


def _check(start: Path, max_tokens: int) -> bool:
    """Whether the directory holds a head; a clear word where it holds no BERT, before anything is loaded."""
    for name in ("config.json", "tokenizer.json"):
        if not (start / name).is_file():
            raise ConfigError(f"{start} is no model to start from: it has no {name}")
    try:
        config: dict[str, Any] = json.loads((start / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{start / 'config.json'} is not JSON: {error}") from error
    if config.get("model_type") != "bert" or config.get("position_embedding_type", "absolute") != "absolute":
        raise ConfigError(
            f"{start} is a {config.get('model_type')!r} model; only BERT encoders (BERT, MiniLM, TinyBERT, bge, "
            "ms-marco-MiniLM, ...) can be distilled and written as int8 here"
        )
    if config.get("hidden_act", "gelu") != "gelu":
        raise ConfigError(f"{start} has the activation {config['hidden_act']!r}; only 'gelu' can be written here")
    if max_tokens > int(config.get("max_position_embeddings", 512)):
        raise ConfigError(f"{start} reads at most {config['max_position_embeddings']} tokens, not {max_tokens}")
    if not any(start.glob("*.safetensors")):
        raise ConfigError(f"{start} holds no weights as safetensors")
    labels = len(config.get("id2label") or (0, 0))
    has_head = any(str(one).endswith("ForSequenceClassification") for one in config.get("architectures") or ())
    if has_head and labels > 2:
        raise ConfigError(f"{start} has {labels} labels; a cross-encoder has one or two")
    return has_head


def _read_network(start: Path, seed: int) -> BertForSequenceClassification:
    said = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    torch.manual_seed(seed)
    try:
        network = BertForSequenceClassification.from_pretrained(
            # Written out, attention is faster on processors than fused, whose backward pass is slow there.
            start,
            local_files_only=True,
            use_safetensors=True,
            attn_implementation="eager",
            dtype=torch.float32,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{start} cannot be read as a BERT: {error}") from error
    finally:
        transformers_logging.set_verbosity(said)
    _one_label(network)
    return network


def _one_label(network: BertForSequenceClassification) -> None:
    """Two labels, of which the second means relevant, become the difference of their logits."""
    head = network.classifier
    if head.out_features == 2:
        single = nn.Linear(head.in_features, 1)
        with torch.no_grad():
            single.weight.copy_(head.weight[1:] - head.weight[:1])
            single.bias.copy_(head.bias[1:] - head.bias[:1])
        network.classifier = single
    network.config.num_labels = network.num_labels = 1
