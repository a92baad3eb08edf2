"""Tiny real checkpoints with random weights, made by the libraries that read them."""

from __future__ import annotations

import json
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LETTERS = string.ascii_lowercase
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
UNUSED = ("[unused0]", "[unused1]")
WORDS = [*SPECIAL, *UNUSED, *string.punctuation, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "initializer_range": 0.5,
}


def bert_tokenizer(folder: Path, words: Sequence[str] = WORDS) -> None:
    """A WordPiece tokenizer of letters, as BERT's is written."""
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(words))
    BertWordPieceTokenizer(str(folder / "vocab.txt")).save(str(folder / "tokenizer.json"))
    BertTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), model_max_length=128).save_pretrained(folder)


def bert(folder: Path, *, labels: int = 1) -> Path:
    """A cross-encoder of the BERT family."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    bert_tokenizer(folder)
    config = BertConfig(vocab_size=len(WORDS), num_labels=labels, max_position_embeddings=128, **SIZES)
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def xlm_roberta(folder: Path) -> Path:
    """A cross-encoder like bge-reranker: XLM-RoBERTa, whose positions start behind its padding token, 1."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaForSequenceClassification

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", *LETTERS, *(f"▁{letter}" for letter in LETTERS), "<mask>"]
    tokenizer = Tokenizer(models.Unigram([(piece, -1.0) for piece in pieces], unk_id=3))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        mask_token="<mask>",
        unk_token="<unk>",
    ).save_pretrained(folder)
    config = XLMRobertaConfig(
        vocab_size=len(pieces), num_labels=1, max_position_embeddings=66, type_vocab_size=1, **SIZES
    )
    XLMRobertaForSequenceClassification(config).save_pretrained(folder)
    return folder


def t5(folder: Path) -> Path:
    """A T5 with the words of monoT5's prompt and answers."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    words = ["▁Query:", "▁Document:", "▁Relevant:", "▁true", "▁false", "▁"]
    pieces = ["<pad>", "</s>", "<unk>", *words, *LETTERS, *(f"▁{letter}" for letter in LETTERS)]
    tokenizer = Tokenizer(models.Unigram([(piece, -1.0) for piece in pieces], unk_id=2))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    config = T5Config(
        vocab_size=len(pieces), d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, decoder_start_token_id=0
    )
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def stanford_colbert(folder: Path, **told: Any) -> Path:
    """A ColBERT as Stanford's code writes it: the projection among the weights, and ``artifact.metadata``."""
    import torch
    from safetensors.torch import save_file
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    bert_tokenizer(folder)
    config = BertConfig(vocab_size=len(WORDS), max_position_embeddings=128, **SIZES)
    model = BertModel(config)
    weights = {f"bert.{name}": value for name, value in model.state_dict().items()}
    weights["linear.weight"] = torch.randn(16, 32)
    config.save_pretrained(folder)
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "architectures": ["HF_ColBERT"]}))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    usual = {"query_token_id": "[unused0]", "doc_token_id": "[unused1]", "query_maxlen": 16, "doc_maxlen": 64}
    (folder / "artifact.metadata").write_text(json.dumps({**usual, "mask_punctuation": True, **told}))
    return folder


def pylate(folder: Path, stanford: Path, **told: Any) -> Path:
    """The same model in PyLate's layout: an encoder, a projection, and the settings beside them."""
    import shutil

    from safetensors.torch import load_file, save_file

    folder.mkdir(parents=True)
    weights = load_file(stanford / "model.safetensors")
    (folder / "1_Dense").mkdir()
    save_file({"linear.weight": weights.pop("linear.weight")}, folder / "1_Dense" / "model.safetensors")
    bare = {name.removeprefix("bert."): value for name, value in weights.items()}
    save_file(bare, folder / "model.safetensors", metadata={"format": "pt"})
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        shutil.copy(stanford / name, folder / name)
    settings = json.loads((stanford / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "architectures": ["BertModel"]}))
    dense = {
        "in_features": 32,
        "out_features": 16,
        "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    (folder / "1_Dense" / "config.json").write_text(json.dumps(dense))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 63, "do_lower_case": false}')
    modules = [("", "sentence_transformers.models.Transformer"), ("1_Dense", "pylate.models.Dense.Dense")]
    listed = [
        {"idx": place, "name": str(place), "path": path, "type": kind} for place, (path, kind) in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    usual = {
        "model_type": "ColBERT",
        "similarity_fn_name": "MaxSim",
        "query_prefix": "[unused0]",
        "document_prefix": "[unused1]",
        "query_length": 16,
        "document_length": 64,
        "do_query_expansion": True,
        "attend_to_expansion_tokens": False,
        "skiplist_words": list(string.punctuation),
    }
    (folder / "config_sentence_transformers.json").write_text(json.dumps({**usual, **told}))
    return folder
