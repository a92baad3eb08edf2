"""The ways in which a model might read a text that does not look like what it says."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterator

from listwise.prompting.neutralise import CLOSING, OPENING, UNSEEN

_PAIRS = (
    "аa еe оo рp сc уy хx іi јj ѕs ԁd һh ӏl ԛq ԝw вb кk мm нh тt ɡg ɑa ıi αa εe οo ρp τt κk νv υu χx ηn ωw ιi βb "
    "ᴀa ʙb ᴄc ᴅd ᴇe ꜰf ɢg ʜh ɪi ᴊj ᴋk ʟl ᴍm ɴn ᴏo ᴘp ʀr ꜱs ᴛt ᴜu ᴠv ᴡw ʏy ᴢz"
)
_LOOKALIKES = {ord(pair[0]): pair[1] for pair in _PAIRS.split()}
"""Small letters of other alphabets that pass for Latin ones."""
_BRACKETS = {**dict.fromkeys(map(ord, OPENING[2:]), "["), **dict.fromkeys(map(ord, CLOSING[2:]), "]")}
_LEET = str.maketrans("013457@$!|", "oieastasil")
_LEET_WORD = re.compile(r"(?<!\S)(?=\S{0,20}[a-z])(?=\S{0,20}[013457@$])[a-z013457@$!|]{2,20}(?![\w@$])")
_APART = re.compile(r"(?<!\w)(?:\w[ .\-_*]{1,3}){7,}\w(?!\w)")
_NO_WORD = re.compile(r"\W+")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")
_TAG_LETTERS = re.compile("[\U000e0020-\U000e007e]{4,}")
_TURNED_ROUND = re.compile(r"egassap|tnemucod|noitcurtsni|tnaveler|\bknar\b")
"""The words that orders are made of, backwards."""
_MARKS_ABOVE_OR_BELOW = 200
"""Combining classes from here on are accents; those below are parts of letters in other scripts."""


def folded(text: str) -> str:
    """The text in lower case on one line, without unseen characters, accents and compatibility forms."""
    if not text.isascii():
        apart = unicodedata.normalize("NFKD", UNSEEN.sub("", text))
        bare = "".join(char for char in apart if unicodedata.combining(char) < _MARKS_ABOVE_OR_BELOW)
        text = unicodedata.normalize("NFC", bare).translate(_BRACKETS)
    return " ".join(text.lower().split())


def readings(text: str) -> Iterator[str]:
    """What a text may be read as, folded: as it stands first, then with each disguise taken off that it may
    wear."""
    plain = folded(text)
    yield plain
    if not plain.isascii() and (latin := plain.translate(_LOOKALIKES)) != plain:
        yield latin
    if (spelt := _LEET_WORD.sub(lambda word: word[0].translate(_LEET), plain)) != plain:
        yield spelt
    if _TURNED_ROUND.search(plain):
        yield plain[::-1]
    for letters in _TAG_LETTERS.findall(text):
        yield folded("".join(chr(ord(letter) - 0xE0000) for letter in letters))
    for run in _BASE64.findall(text):
        yield folded(_decoded(run))


def run_together(text: str) -> Iterator[str]:
    """Letters that stand apart in a folded text, without what stands between them."""
    for letters in _APART.findall(text):
        yield _NO_WORD.sub("", letters).replace("_", "")


def _decoded(run: str) -> str:
    """What base64 stands for, if that is text; else nothing."""
    try:
        text = base64.b64decode(run[: len(run.rstrip("=")) // 4 * 4]).decode("ascii")
    except (binascii.Error, ValueError):
        return ""
    return text if text.isprintable() else ""
