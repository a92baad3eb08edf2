"""What docs/bias.md says that no command of it shows."""

from __future__ import annotations

from tests.conftest import CHECKOUT


def test_what_it_says_about_rank_biased_overlap() -> None:
    """The weight of the first ten ranks in an endless list: Webber et al. 2010, equation 21."""
    p, d = 0.9, 10
    series = sum(p**each / each for each in range(1, 2000)) - sum(p**each / each for each in range(1, d))
    assert round(1 - p ** (d - 1) + (1 - p) / p * d * series, 2) == 0.86
    page = (CHECKOUT / "docs" / "bias.md").read_text(encoding="utf-8")
    assert "the first ten ranks have 86 % of the weight" in page
