"""Random prompts of every kind of text that tokenizers treat oddly. The same seed gives the same prompts."""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator

from listwise.calls import Call, Message, Role, Sampling

Text = Callable[[random.Random], str]

_ENGLISH = str.split(
    "the of and to in is a that for it with as was on are be this by from have or an which not at can will how "
    "what many water temperature passage relevance query ranking information retrieval photosynthesis government "
    "December Washington physiological approximately treatment symptoms however between through during Relevant"
)
_CODE = (
    "def f(x):\n    return x",
    "for (int i = 0; i < n; ++i) {",
    "}\n\n",
    "<div class='a'>",
    "=> await",
    "0x1F",
    "\t\t",
)
_EMOJI = ("👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "❤️‍🔥", "🇩🇪", "☺️", "1️⃣", "🫠")
_SPECIAL = ("<|endoftext|>", "<|im_start|>system", "<|fim_prefix|>", "\n\nHuman:", "[INST]", "</s>", "<unk>")
_SCRIPTS = (
    (0x0400, 0x04FF), (0x0590, 0x05FF), (0x0600, 0x06FF), (0x0900, 0x0DFF), (0x0E00, 0x0FFF), (0x1000, 0x10FF),
    (0x1200, 0x139F), (0x1F00, 0x1FFF), (0x2000, 0x2BFF), (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xA000, 0xA4CF),
    (0xAC00, 0xD7A3), (0xFB1D, 0xFDFF), (0x10000, 0x1047F), (0x1D100, 0x1D7FF), (0x1F300, 0x1FAFF),
    (0x20000, 0x2FA1F),
)  # fmt: skip
_SIZES = (1, 3, 10, 40, 150)


def _from(low: int, high: int, rng: random.Random) -> str:
    points = (rng.randint(low, high) for _ in range(rng.choice(_SIZES)))
    return "".join(chr(point) for point in points if not 0xD800 <= point <= 0xDFFF)


def _pieces(choices: tuple[str, ...] | list[str] | str, rng: random.Random, between: str = "") -> str:
    return between.join(rng.choice(choices) for _ in range(rng.choice(_SIZES)))


def _english(rng: random.Random) -> str:
    return _pieces(_ENGLISH, rng, " ").capitalize() + rng.choice((".", "?", "!", ",", ".\n"))


def _words(rng: random.Random) -> str:
    letters = rng.choice(
        (string.ascii_lowercase, string.ascii_uppercase, string.ascii_letters, "äöüßéñçø", "ЖдщъΣςΩ")
    )
    return " ".join("".join(rng.choices(letters, k=rng.randint(1, 12))) for _ in range(rng.choice(_SIZES)))


def _repeated(rng: random.Random) -> str:
    unit = "".join(rng.choice(string.printable + "é中🙂") for _ in range(rng.choice((1, 1, 2, 3, 5))))
    return unit * rng.choice((4, 30, 200))


def _combining(rng: random.Random) -> str:
    return "".join(
        rng.choice(string.ascii_letters) + chr(rng.randint(0x300, 0x36F)) * rng.randint(0, 4) for _ in range(30)
    )


def _long_word(rng: random.Random) -> str:
    return "".join(
        rng.choices(string.ascii_lowercase + rng.choice(("", "-_", "0123456789+/")), k=rng.randint(50, 400))
    )


TEXTS: tuple[Text, ...] = (
    _english,
    _english,
    _words,
    _repeated,
    _combining,
    _long_word,
    lambda rng: _pieces(_CODE, rng),
    lambda rng: _pieces(_EMOJI, rng),
    lambda rng: _pieces(_SPECIAL, rng),
    lambda rng: _pieces(string.digits, rng),
    lambda rng: _pieces(" \n\t\r\u00a0\u3000", rng),
    lambda rng: _pieces(string.punctuation, rng),
    lambda rng: _pieces([letter + mark for letter in "aXéЖж" for mark in "1.'_"], rng),
    lambda rng: _from(0, 0x1F, rng),
    lambda rng: _from(0, 0xFFFF, rng),
    lambda rng: _from(0, 0x10FFFF, rng),
    lambda rng: _from(*rng.choice(_SCRIPTS), rng),
    lambda rng: _from(*rng.choice(_SCRIPTS), rng),
)


def prompts(rng: random.Random, number: int) -> Iterator[Call]:
    """Calls with one to seven messages, each of one to eight texts; a third of them with an answer schema."""
    for _ in range(number):
        roles: list[Role] = ["system"] if rng.random() < 0.5 else []
        for _ in range(rng.randint(0, 2)):
            roles += "user", "assistant"
        roles.append("user")
        messages = tuple(Message(role, _content(rng)) for role in roles)
        ordered, passages = rng.random() < 1 / 3, rng.randint(2, 100)
        yield Call(messages, Sampling(100), "order" if ordered else "text", passages)


def _content(rng: random.Random) -> str:
    return rng.choice(("", " ", "\n")).join(rng.choice(TEXTS)(rng) for _ in range(rng.randint(1, 8)))
