r"""Turns the text of a query or passage into data that cannot act on the prompt around it.

These things are done, in this order, and nothing else:

0. Where UTF-8 was read as Latin-1 (``â\x80\x99`` for an apostrophe: a fifth of MS MARCO's passages), it is read
   again, as rank_llm does by ftfy; the halves would be dropped as control characters otherwise.
1. Characters that no reader sees are dropped: control characters, lone surrogates, and what Unicode calls
   default-ignorable (zero-width, bidirectional overrides, tags, variation selectors, fillers).
2. Every run of whitespace becomes one space. No text can begin a line, so none can open a turn (``\n\nHuman:``).
3. What looks like a passage's identifier, ``[3]``, is written in parentheses, ``(3)``: RankZephyr's rule, widened
   to other brackets and digits (``［３］``, ``【3】``, ``[ ③ ]``). So are the control tokens of chat formats:
   ``<|im_end|>``, ``</s>``, ``[INST]``, ``<start_of_turn>`` and their like.
4. For templates that call passages by letters, so is a letter in brackets, ``[B]``, and what would begin another
   passage: ``Passage B:`` becomes ``Passage(B)``.
5. In the style ``markup``, so are all tags, for templates that wrap passages in tags of their own.

All of it is linear in the length of the text, never lengthens it, and changes nothing when done again.
"""

from __future__ import annotations

import re
from typing import Literal

Style = Literal["brackets", "markup"]

# Cc without whitespace, surrogates, Default_Ignorable_Code_Point of Unicode 15, interlinear annotation, U+FFFE/F.
UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff"
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)

_C1 = re.compile("[\x80-\x9f]")
_MISREAD = re.compile("[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")

OPENING = r"\[［【〔〖〘〚⟦⟬❲⁅⦋⦍⦏⦗﹇﹝︗︹︻"
CLOSING = r"\]］】〕〗〙〛⟧⟭❳⁆⦌⦎⦐⦘﹈﹞︘︺︼"
_DIGIT = (
    r"\d²³¹\u2070\u2074-\u2079\u2080-\u2089\u2460-\u249b\u24ea-\u24ff\u2776-\u2793"
    r"\u3248-\u324f\u3251-\u325f\u32b1-\u32bf\U0001f100-\U0001f10c"
)
_IDENTIFIER = rf"[{OPENING}] ?[#№+\-−]? ?[{_DIGIT}]++ ?[{CLOSING}]"

# Names are bounded, so that a text of nothing but beginnings is read in linear time.
_BAR_TOKEN = r"[<＜][|｜][\w▁ ./:-]{1,64}[|｜][>＞]"
_ANGLE_TOKEN = (
    r"</?(?:s|bos|eos|pad|unk|mask|cls|sep|think|start_of_turn|end_of_turn|start_of_image|end_of_image"
    r"|tool_call|tool_response|fim_prefix|fim_middle|fim_suffix|extra_id_\d{1,4})>|<</?SYS>>"
)
_SQUARE_TOKEN = (
    r"\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|THINK|IMG|PREFIX|SUFFIX)\]"
)
_ACTING = re.compile(f"{_IDENTIFIER}|{_BAR_TOKEN}|{_ANGLE_TOKEN}|{_SQUARE_TOKEN}")

_LETTER = rf"[{OPENING}] ?[^\W\d_] ?[{CLOSING}]"
_NAMED = r"(?:(?<=passage)|(?<=document)|(?<=candidate)|(?<=doc))"
_HEADING = rf"{_NAMED}[\s*_#-]{{1,4}}(?P<letter>[^\W\d_])[\s*_]{{0,4}}[:：﹕︓։∶ː꞉]"
_LABELS = re.compile(f"{_LETTER}|{_HEADING}", re.IGNORECASE)

_TAG = re.compile(r"[<＜](?=[/!?\w])([^<>＜＞]*+)([>＞]?)")


def neutralise(text: str, style: Style = "brackets", *, labels: bool = False) -> str:
    """The text on one line, without unseen characters, identifiers, control tokens, in ``markup`` tags, and, if
    asked, ``labels``."""
    if not (text.isascii() and text.isprintable()):
        text = UNSEEN.sub("", reread(text))
    text = " ".join(text.split())
    if _may_hold("[<", text):
        text = _ACTING.sub(_in_parentheses, text)
    if labels and _may_hold("[:", text):
        text = _LABELS.sub(_unlabelled, text)
    return _TAG.sub(_untagged, text) if style == "markup" else text


def _may_hold(signs: str, text: str) -> bool:
    """Whether the patterns that need one of these, or a sign beyond ASCII that stands for it, are worth trying."""
    return not text.isascii() or any(sign in text for sign in signs)


def reread(text: str) -> str:
    """The text, with UTF-8 that was read as Latin-1 read again. Before whitespace is looked for: a misread ``à``
    holds a no-break space. Text without control characters is left alone, for it may be meant as it is; those that
    are no part of misread UTF-8 are dropped, so that they make none of what stands around them."""
    if text.isascii() or not _C1.search(text):
        return text
    return _C1.sub(_dropped, _MISREAD.sub(_read_again, text))


def _read_again(match: re.Match[str]) -> str:
    try:
        return match[0].encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return match[0]


def _dropped(control: re.Match[str]) -> str:
    return " " if control[0].isspace() else ""


def _in_parentheses(match: re.Match[str]) -> str:
    return f"({match[0][1:-1]})"


def _unlabelled(match: re.Match[str]) -> str:
    return f"({match['letter']})" if match["letter"] else _in_parentheses(match)


def _untagged(match: re.Match[str]) -> str:
    return f"({match[1]})" if match[2] else f"({match[1]}"
