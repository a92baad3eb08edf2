"""When two queries are the same but for the way they are typed: then they share an answer.

What is ignored is listed here; everything else tells queries apart. So a rule that is missing costs an answer, and
none costs a wrong one:

- white space, and characters that cannot be seen (zero-width spaces, soft hyphens, marks of direction);
- Unicode form (NFKC), but for superscripts, subscripts and fractions, in which it loses meaning (10⁵ is not 105);
- which of several dashes, apostrophes or double quotation marks is typed;
- ``. , ; : ?`` at the end of a word, a question mark that stands alone at the end, and double quotation marks
  round words (not the inches in 6"). Inside a word, and before it, punctuation stays (3.14, .net, -5, 3:00), and so
  do all other signs anywhere (C++, C#, AT&T, Yahoo!);
- a capital at the beginning of a word. Those further in stay (US is not us, nor WHO who, nor pH Ph), unless the
  whole query is in capitals and cannot be all acronyms, as a word in it has at least `SPELT_OUT` letters.

Lower case it is, not case folding, for which Maße are Masse.

Meaning is not looked at. Queries that are close in meaning do not share: one word makes another question of "side
effects of X", and no measure of similarity tells such a word from one that does not matter (docs/policies.md).
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from itertools import groupby

from listwise.types import Request

SPELT_OUT = 5
"""Acronyms that people type have fewer letters, nearly all."""

_MEANT = ("<super>", "<sub>", "<fraction>")
"""Compatibility mappings of Unicode that lose meaning."""
_UNSEEN = dict.fromkeys(
    map(ord, "\u00ad\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff")
)
_TYPED = str.maketrans(
    {
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u2018\u2019\u02bc\u2032`\u00b4", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb", '"'),
    }
)
_QUOTED = re.compile(r'(?<!\S)"([^"\s](?:[^"]*[^"\s])?)"(?=[.,;:?]*(?!\S))')
_LAST = re.compile(r"(?<=[^\s.,;:?])[.,;:?]+(?!\S)")
_ASKED = re.compile(r"(?<=\S)\s\?\Z")
_WORD = re.compile(r"[^\W_]+")


def canonical(query: str) -> str:
    """The one spelling that stands for all those of a query that differ in nothing that matters."""
    while (plainer := _plainer(query)) != query:
        query = plainer
    return query


def _plainer(query: str) -> str:
    text = query.translate(_UNSEEN).translate(_TYPED)
    if not text.isascii():
        text = "".join(
            "".join(run) if meant else unicodedata.normalize("NFKC", "".join(run))
            for meant, run in groupby(text, lambda each: unicodedata.decomposition(each).startswith(_MEANT))
        ).translate(_TYPED)
    text = " ".join(text.split())
    text = _LAST.sub("", _ASKED.sub("", _QUOTED.sub(r"\1", text)))
    shouted = text.isupper() and any(len(word) >= SPELT_OUT for word in _WORD.findall(text))
    return text.lower() if shouted else _WORD.sub(lambda word: _uncapitalised(word[0]), text)


def _uncapitalised(word: str) -> str:
    letters = [each for each in word if each.isalpha()]
    return word if any(each.isupper() for each in letters[1:]) else word.lower()


def same_request(request: Request, depth: int) -> str:
    """A name (SHA-256, hex) that two requests have in common if their queries are the same but for the typing, and
    the first ``depth`` candidates are the same passages under the same docids, in whatever order."""
    passages = sorted((each.docid, each.content) for each in request.candidates[:depth])
    asked = json.dumps(["query", canonical(request.query.text), passages], ensure_ascii=True)
    return hashlib.sha256(asked.encode("ascii")).hexdigest()
