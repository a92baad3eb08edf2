"""Random prompts of every kind of text that tokenizers treat oddly. The same seed gives the same prompts."""

from __future__ import annotations

import base64
import json
import random
import string
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache

import bpe_openai

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
_NATURAL = (
    "Mit hoher Wahrscheinlichkeit lenken die Bürgermeister Aufmerksamkeit auf die Sicherheitsmaßnahmen. ",
    "ಕರ್ನಾಟಕ ರಾಜ್ಯದ ಮುಖ್ಯಮಂತ್ರಿ ಅವರು ಬೆಂಗಳೂರಿನಲ್ಲಿ ನಡೆದ ಕಾರ್ಯಕ್ರಮದಲ್ಲಿ ಮಾತನಾಡಿದರು. ",
    "ਉਨ੍ਹਾਂ ਨੇ ਕਿਹਾ ਕਿ ਪੰਜਾਬ ਸਰਕਾਰ ਕਿਸਾਨਾਂ ਦੇ ਹਿੱਤਾਂ ਦੀ ਰਾਖੀ ਲਈ ਵਚਨਬੱਧ ਹੈ। ",
    "भारत एक विशाल देश है जिसमें अनेक भाषाएँ बोली जाती हैं। ",
    "Растения превращают солнечный свет, воду и углекислый газ в пищу. ",
    "光合作用是绿色植物利用阳光、水和二氧化碳制造食物的过程。",
    "การสังเคราะห์ด้วยแสงเป็นกระบวนการที่พืชใช้พลังงานจากแสง ",
    "ფოტოსინთეზი არის პროცესი, რომლითაც მცენარეები ქმნიან საკვებს. ",
    "Türkmenistanyň Daşary işler ministrliginiň müdürlüğü, İstanbul’da. ",
    "Ua kiʻekiʻe ka hoʻonaʻauao a me nā pilikia o ka ʻāina. ",
    "التمثيل الضوئي هو العملية التي تحول بها النباتات الضوء إلى غذاء. ",
)
_SCRIPTS = (
    (0x0400, 0x04FF), (0x0590, 0x05FF), (0x0600, 0x06FF), (0x0900, 0x0DFF), (0x0E00, 0x0FFF), (0x1000, 0x10FF),
    (0x1200, 0x139F), (0x1F00, 0x1FFF), (0x2000, 0x2BFF), (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xA000, 0xA4CF),
    (0xAC00, 0xD7A3), (0xFB1D, 0xFDFF), (0x10000, 0x1047F), (0x1D100, 0x1D7FF), (0x1F300, 0x1FAFF),
    (0x20000, 0x2FA1F), (0x07C0, 0x07FF), (0x0E00, 0x0E7F), (0x0F00, 0x0FFF), (0x1780, 0x17FF), (0x13A0, 0x13FF),
    (0x1D400, 0x1D7FF), (0x20000, 0x2A6DF), (0xE000, 0xF8FF), (0xF0000, 0x10FFFD), (0x200B, 0x206F),
    (0xFF00, 0xFFEF),
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
    unit = "".join(rng.choice(string.printable + "é中🙂") for _ in range(rng.choice((1, 1, 2, 3, 5, 9))))
    return unit * rng.choice((4, 30, 200, 200, 1000))


def _combining(rng: random.Random) -> str:
    most = rng.choice((4, 4, 25))
    marks = [chr(rng.randint(0x300, 0x36F)) for _ in range(8)]
    return "".join(
        rng.choice(string.ascii_letters) + "".join(rng.choices(marks, k=rng.randint(0, most))) for _ in range(30)
    )


def _base64(rng: random.Random) -> str:
    return base64.b64encode(rng.randbytes(rng.randint(20, 400))).decode()


def _hex(rng: random.Random) -> str:
    digits = rng.choice(("0123456789abcdef", "0123456789ABCDEF", "0123456789abcdefABCDEF"))
    return rng.choice((" ", ":", "-", "")).join(
        "".join(rng.choices(digits, k=8)) for _ in range(rng.choice(_SIZES))
    )


def _json(rng: random.Random) -> str:
    rows: list[dict[str, object]] = [
        {rng.choice(_ENGLISH): rng.choice((None, True, -1.5e-7, "é\n", [1, []], {}))} for _ in range(10)
    ]
    return json.dumps(rows, separators=(",", ":"), ensure_ascii=rng.random() < 0.5)


def _identifiers(rng: random.Random) -> str:
    words = [rng.choice(_ENGLISH) for _ in range(rng.choice(_SIZES))]
    return rng.choice(("", "_", ".", "::")).join(
        rng.choice((str.capitalize, str.upper, str.lower))(word) for word in words
    )


def _natural(rng: random.Random) -> str:
    text = rng.choice(_NATURAL)
    return " ".join(_pieces(text.split(), rng, " ") for _ in range(rng.randint(1, 3)))


@cache
def entries() -> list[str]:
    """What one token of o200k stands for, as far as that is text."""
    encoding = bpe_openai.get_encoding("o200k_base")
    spelled = (encoding.decode_single_token_bytes(token) for token in range(199_998))
    return [text for text in (entry.decode(errors="ignore") for entry in spelled) if text]


def _vocabulary(rng: random.Random) -> str:
    return _pieces(entries(), rng, rng.choice(("", "", " ", "\n", "1")))


@cache
def _expanding() -> list[str]:
    """Characters that have more bytes when they are composed, or composed and folded."""
    points = (chr(point) for point in range(0x80, 0x30000) if not 0xD800 <= point <= 0xDFFF)
    return [
        point
        for point in points
        if any(len(unicodedata.normalize(form, point).encode()) > len(point.encode()) for form in ("NFC", "NFKC"))
    ]


def _surrogates(rng: random.Random) -> str:
    return "".join(rng.choice(("a", " ", "é", chr(rng.randint(0xD800, 0xDFFF)))) for _ in range(rng.choice(_SIZES)))


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
    _base64,
    _hex,
    _json,
    _identifiers,
    _vocabulary,
    _vocabulary,
    _surrogates,
    _natural,
    _natural,
    lambda rng: _pieces(_expanding(), rng),
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
    """Calls with one to seven messages, some with dozens; each of one to eight texts, half of one kind only.

    A third of the calls have an answer schema.
    """
    for _ in range(number):
        roles: list[Role] = ["system"] if rng.random() < 0.5 else []
        turns, texts = (rng.randint(10, 30), 1) if rng.random() < 1 / 20 else (rng.randint(0, 2), 8)
        for _ in range(turns):
            roles += "user", "assistant"
        roles.append("user")
        messages = tuple(Message(role, _content(rng, texts)) for role in roles)
        ordered, passages = rng.random() < 1 / 3, rng.randint(2, 100)
        yield Call(messages, Sampling(100), "order" if ordered else "text", passages)


def _content(rng: random.Random, most: int) -> str:
    kinds = TEXTS if rng.random() < 0.5 else (rng.choice(TEXTS),)
    return rng.choice(("", " ", "\n")).join(rng.choice(kinds)(rng) for _ in range(rng.randint(1, most)))
