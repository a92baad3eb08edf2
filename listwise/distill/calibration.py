"""Sees what each linear layer is given, to fix the scales of activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from listwise.distill.graph import Range


class Watch:
    """While entered, takes the least and the largest input of each linear layer of a module.

    Args:
        name: a layer's name in `ranges`, by its name in the module. Layers called ``decoder`` are left out.
    """

    def __init__(self, module: nn.Module, name: Callable[[str], str]) -> None:
        self.ranges: dict[str, Range] = {}
        self.shown: Tensor | None = None
        """Which tokens of the batch are none of padding, bool [texts, length]."""
        self._watched = {
            name(full): layer
            for full, layer in module.named_modules()
            if isinstance(layer, nn.Linear) and not full.endswith("decoder")
        }
        self._handles: list[Any] = []

    def __enter__(self) -> Watch:
        self._handles = [layer.register_forward_pre_hook(self._see(name)) for name, layer in self._watched.items()]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _see(self, name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def see(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            [values] = inputs
            # What is one vector a text, such as the input of a pooler, has no padding.
            seen = values[self.shown] if self.shown is not None and values.ndim == 3 else values
            low, high = self.ranges.get(name, (0.0, 0.0))
            least, largest = torch.aminmax(seen.detach())
            self.ranges[name] = min(low, float(least)), max(high, float(largest))

        return see
