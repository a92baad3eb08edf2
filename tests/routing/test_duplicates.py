"""Which queries are the same but for the typing."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise import Candidate, Query, Request
from listwise.formats import read_queries
from listwise.routing.duplicates import canonical, same_request

words = st.text(alphabet="abcdefghijklmnopqrstuvwxyzäéßñ0123456789+#-.'/&!", min_size=1, max_size=8).filter(
    lambda word: word[0].isalnum() and (word[-1].isalnum() or word[-1] in "+#!")
)
queries = st.lists(words, min_size=1, max_size=6).map(" ".join)
odd = st.text(max_size=20) | st.text(
    alphabet=" \"'?.,:;aBC-+⁵½ß\u200bﬁΣςİ\u0301\u00b4\u2026!`Ａ\u00a0\n", max_size=20
)


@given(odd)
def test_the_canonical_spelling_stands_for_itself(query: str) -> None:
    assert canonical(canonical(query)) == canonical(query)


@given(queries, st.data())
def test_typing_does_not_tell_queries_apart(query: str, data: st.DataObject) -> None:
    def drawn(*choices: str) -> str:
        return data.draw(st.sampled_from(choices))

    typed = [drawn(word, word[0].upper() + word[1:] if word[0] not in "ß" else word) for word in query.split()]
    ended = [word + drawn("", ",", ";", ":", "?") for word in typed]
    spaced = "".join(drawn(" ", "  ", "\t", "\u00a0", " \u200b") + word for word in ended)
    shown = drawn("", " ") + spaced + drawn("", "?", " ?", ".", "...", "…")
    formed = unicodedata.normalize(data.draw(st.sampled_from(["NFC", "NFD"])), shown)
    curly = formed.replace("'", drawn("'", "’")).replace("-", drawn("-", "–"))
    assert canonical(curly) == canonical(query)


@given(queries, queries)
def test_other_words_tell_queries_apart(one: str, other: str) -> None:
    assert (canonical(one) == canonical(other)) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("US visa", "us visa"),
        ("what is IT", "what is it"),
        ("WHO", "who"),
        ("pH of blood", "PH of blood"),
        ("C++", "c"),
        ("C#", "C"),
        ("c# tutorial", "c tutorial"),
        (".net", "net"),
        ("-5 c in f", "5 c in f"),
        ("3.14", "314"),
        ("3:00", "300"),
        ("1,5", "15"),
        ("10⁵", "105"),
        ("1½ cups", "11/2 cups"),
        ("x²", "x2"),
        ("it's", "its"),
        ("re-sign", "resign"),
        ("at&t", "att"),
        ("50%", "50"),
        ("$5", "5"),
        ('6" pipe', "6 pipe"),
        ("what does ? mean", "what does : mean"),
        ("5!", "5"),
        ("Yahoo!", "Yahoo"),
        ("résumé", "resume"),
        ("Maße", "Masse"),
        ("side effects of ibuprofen", "side effects of naproxen"),
        ("dogs", "dog"),
    ],
)
def test_what_carries_meaning_is_kept(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is C++?", "what is  c++"),
        ("WHAT IS THE MEANING OF US", "what is the meaning of us ?"),
        ("“The Who”", "the who"),
        ('say "a" and "b".', "say a and b"),
        ("ﬁne ｗｉｄｔｈ", "fine width"),
        ("US visa?", "US  visa"),
        ("soft\u00adware", "software"),
        ("x—ray", "X-Ray"),
    ],
)
def test_what_does_not_is_not(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


def request_of(query: str, *texts: str, title: str | None = None) -> Request:
    candidates = (Candidate(f"d{at}", text, title=title) for at, text in enumerate(texts))
    return Request(Query(f"of {query}", query), tuple(candidates))


def test_other_candidates_are_another_request() -> None:
    this = same_request(request_of("What?", "a", "b"), 10)
    assert this == same_request(request_of("what", "a", "b"), 10)
    assert this == same_request(request_of("what", "a", "b", "c"), 2)
    turned = Request(Query("q", "what"), request_of("what", "a", "b").candidates[::-1])
    assert this == same_request(turned, 10)
    others = [("a",), ("a", "c"), ("a", "b", "c"), ("b", "a"), ("ab", ""), ("A", "b")]
    assert this not in {same_request(request_of("what", *texts), 10) for texts in others}
    assert this != same_request(request_of("what", "a", "b", title="t"), 10)
    assert this != same_request(request_of("what else", "a", "b"), 10)


@given(st.lists(st.text(max_size=3), max_size=4), st.lists(st.text(max_size=3), max_size=4))
def test_texts_never_run_together(one: list[str], other: list[str]) -> None:
    same = same_request(request_of("q", *one), 9) == same_request(request_of("q", *other), 9)
    assert same == (one == other)


def test_of_real_queries_only_a_question_mark_makes_any_the_same(data: Path) -> None:
    """20,000 of them, all different; three pairs are the same."""
    texts = set()
    for name in ("queries/msmarco_unlabelled.tsv.gz", "dl19/queries.tsv", "dl21/queries.tsv", "dl23/queries.tsv"):
        texts |= set(read_queries(data / name).values())
    by_spelling: dict[str, set[str]] = {}
    for text in texts:
        by_spelling.setdefault(canonical(text), set()).add(text)
    alike = [sorted(spelt) for spelt in by_spelling.values() if len(spelt) > 1]
    assert len(alike) == 3
    assert all(marked == f"{bare}?" for bare, marked in alike)
