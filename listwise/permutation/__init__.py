"""Read a permutation out of a model's answer, whatever shape the answer has: pure, and it never raises.

    parsed = parse("1. [4] > 2. [14] > 3. [2]", n=20)
    parsed.identifiers            # (4, 14, 2), as the text counts: from 1
    complete(parsed)              # (3, 13, 1, 0, 2, 4, ...), positions in the window: from 0

`reader` asks four questions, a module or two each: which characters are meant (`glyphs`, `letters`), which part
of the answer is the answer (`parts`), is it JSON (`structured`), and what does its text rank (`scan` finds numbers,
`chains` tells identifiers from other numbers, `text` decides which of them are the ranking). `outcome` is what
comes out, with all kinds of repair.

**When is an answer a ranking?** It names at least two different identifiers of passages that were shown, or one
that stands alone: as the whole answer, span or JSON value, or at the end of its line (``The best one is [7].``).
A bare number in a sentence is not an identifier (``20 passages are provided.``): without brackets or a label such
as ``passage``, numbers count only where they are joined by ``>`` or have lines to themselves. Everything else is
a failure, and a failure keeps the prior order.

**Which one, if there are several?** What stands between ``[Start]`` and ``[End]`` or in ``<answer>``, else in the
whole. Of what is there, a chain before a list before mentions in prose, if it holds at least half of the
identifiers that brackets or names mark. Of several chains or spans, the last that is at least half as long as the
longest, with those that continue it: they share no identifier with it, and together name most passages.

**Other questions** have readers of their own: `parse_first` (the order of labels by their log-probabilities),
`parse_choice` (which label is the best; `labels`) and `parse_relevance` (yes or no; `verdicts`). Where log-
probabilities say it (`likelihood`), what they yield has ``scores``.
"""

from listwise.permutation.labels import parse_choice
from listwise.permutation.likelihood import parse_first
from listwise.permutation.outcome import Failure, Form, Parsed, complete
from listwise.permutation.reader import parse
from listwise.permutation.verdicts import parse_relevance

__all__ = ["Failure", "Form", "Parsed", "complete", "parse", "parse_choice", "parse_first", "parse_relevance"]
