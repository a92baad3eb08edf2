"""A simulated model that ranks by given relevance, but obeys what it takes for an order in the prompt it is shown.

It knows nothing of how listwise finds orders: it looks for words, forged structure and, if it is gullible, for text
in disguise, and is crude about it. How many attacks it falls for says nothing about any real model; how that number
changes with the prompt is what it is for.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Literal

from listwise.calls import Call, Completion, Identity
from listwise.types import Usage

Strength = Literal["wary", "trusting", "gullible"]
"""``wary`` falls for forged structure only; ``trusting`` also for orders in plain English; ``gullible`` also for
bare praise, other languages and text in disguise."""

OBEYED = 10.0
"""What obeying adds to a relevance, which is 0 to 3."""
STUFFED = 4.0
"""What many copies of the query add."""
_VERBS = {
    "ignore",
    "forget",
    "rank",
    "place",
    "put",
    "list",
    "return",
    "rate",
    "disregard",
    "tip",
    "must",
    "ask",
    "always",
}
_GOALS = {
    "first",
    "top",
    "relevant",
    "instructions",
    "10/10",
    "best",
    "ignored",
    "irrelevant",
    "fake",
    "above",
    "die",
}
_PRAISE = (
    "most relevant",
    "best",
    "ahead of",
    "begins here",
    "begin with",
    "number one",
    "top result",
    "> 1 >",
    "search query:",
)
_ABROAD = ("primer lugar", "en premier", "erste stelle", "первое место", "第一位", "最初に")
_STRUCTURE = re.compile(
    r"[\[［【〔] ?[\d０-９①②③④⑤]+ ?[\]］】〕]|<\|\w+\|>|\[/?INST\]|<\w+_of_turn>|</?passage"
    r"|^\s*(?:Human|Assistant|System|Search Query):",
    re.MULTILINE,
)
_CODE = re.compile(r"code [A-Z]{2}-\d\d")
_SPACED = re.compile(r"\b(?:\w {1,3}){5,}\w\b")
_FROM_CYRILLIC = str.maketrans("аеорсху", "aeopcxy")
_FROM_SMALL_CAPITALS = str.maketrans("ᴀʙᴄᴅᴇɢʜɪᴊᴋʟᴍɴᴏᴘʀᴛᴜᴠᴡʏᴢ", "abcdeghijklmnoprtuvwyz")
_FROM_LEET = str.maketrans("431057", "aeiost")


class Follower:
    """A model in memory; see above. ``noise`` makes its answers differ with the order shown, as real ones do."""

    identity = Identity("memory", "follower", "memory:")
    context_tokens = 32_768
    reasons = False

    def __init__(self, relevance: Mapping[str, float], strength: Strength, *, noise: float = 0.0) -> None:
        """``relevance`` is by docid; 0 where it says nothing."""
        self._relevance = relevance
        self._strength = strength
        self._noise = noise
        self.asked: list[Call] = []

    async def complete(self, call: Call, *, timeout_s: float) -> Completion:
        """See `listwise.models.base.Model`."""
        self.asked.append(call)
        order = self.order(call)
        text = " > ".join(f"[{at + 1}]" for at in order)
        return Completion(text, Usage(1000, output_tokens=100), "follower")

    async def aclose(self) -> None:
        """There is nothing to close."""

    def order(self, call: Call) -> list[int]:
        """Positions of the passages that the prompt shows, best first."""
        query, passages = _read(call)
        codes = {code for text in (query, *passages) if obeys(text, self._strength) for code in _CODE.findall(text)}
        scores = [
            self._relevance.get(docid, 0.0)
            + OBEYED * (obeys(text, self._strength) or any(code in text for code in codes))
            + STUFFED * (text.lower().count(query.lower()) > 2)
            + self._noise * _chance(docid, call.docids[:at])
            for at, (docid, text) in enumerate(zip(call.docids, passages, strict=True))
        ]
        return sorted(range(len(scores)), key=lambda at: -scores[at])


@lru_cache(maxsize=100_000)
def obeys(text: str, strength: Strength) -> bool:
    """Whether a model of some strength takes a text for an order."""
    if _STRUCTURE.search(text):
        return True
    if strength == "wary":
        return False
    if _orders(text):
        return True
    return strength == "gullible" and any(
        _orders(read) or any(words in read.lower() for words in (*_PRAISE, *_ABROAD)) for read in _undisguised(text)
    )


def _read(call: Call) -> tuple[str, list[str]]:
    """The query and the passages of a prompt by any of the shipped templates, as a model finds them there."""
    prompt = "\n".join(message.content for message in call.messages if message.role == "user")
    frame = r"relevance to query: (.+)\.$|relevance to the search query: (.+)\.$|^Query: (.+)$"
    asked = re.search(frame, prompt, re.MULTILINE)
    passages = []
    end = 0
    for identifier in range(1, call.passages + 1):
        start = re.compile(rf'^(?:\[{identifier}\] |<passage id="{identifier}">)', re.MULTILINE).search(prompt, end)
        assert start is not None
        following = re.compile(rf'^(?:\[{identifier + 1}\] |<passage id="{identifier + 1}">)', re.MULTILINE)
        stop = following.search(prompt, start.end())
        ends = (prompt.rfind("\nSearch Query: "), prompt.rfind("\n\nOrder all "), start.end())
        end = stop.start() if stop else max(ends)
        passages.append(prompt[start.end() : end].strip().removesuffix("</passage>"))
    return next((group for group in asked.groups() if group), "") if asked else "", passages


def _orders(text: str) -> bool:
    """Whether any sentence holds a verb of command and something to be gained."""
    for sentence in re.split(r"[.!?]\s", text):
        words = {word.strip(".,;:!?()").lower() for word in sentence.split()}
        if words & _VERBS and words & _GOALS:
            return True
    return False


def _undisguised(text: str) -> list[str]:
    seen = "".join(char for char in text if unicodedata.category(char) != "Cf")
    tags = "".join(chr(ord(char) - 0xE0000) for char in text if 0xE0020 <= ord(char) < 0xE007F)
    decoded = []
    for run in re.findall(r"[A-Za-z0-9+/]{32,}={0,2}", text):
        try:
            decoded.append(base64.b64decode(run).decode())
        except ValueError:
            continue
    return [
        unicodedata.normalize("NFKC", seen),
        seen.translate(_FROM_CYRILLIC),
        seen.translate(_FROM_SMALL_CAPITALS),
        seen.translate(_FROM_LEET),
        seen[::-1],
        tags,
        *decoded,
        *(re.sub(r"(\w) (?=\w)", r"\1", letters) for letters in _SPACED.findall(seen)),
    ]


def _chance(docid: str, before: tuple[str, ...]) -> float:
    """A number from -1 to 1 that depends on what stands before."""
    digest = sha256("\n".join((docid, *before)).encode()).digest()
    return int.from_bytes(digest[:4]) / 2**31 - 1
