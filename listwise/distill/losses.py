"""Losses of one list: a student's scores against what a teacher thinks of the same passages.

Each takes ``scores`` [passages], of which it is differentiable, and ``wanted`` [passages], higher is better, and
gives a number that is comparable between lists of different length. None changes if a constant is added to all
scores: only differences within a list are learnt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from listwise.distill.lessons import LossName

Loss = Callable[[Tensor, Tensor], Tensor]

TOP_GRADE = 3.0
"""What `lambda_rank` takes the best passage's grade to be; the worst has 0."""


def ranknet(scores: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy of the order of each pair, as RankGPT is distilled (arXiv 2304.09542, 5.2); mean over pairs.

    Ties in ``wanted`` teach nothing.
    """
    margins, better = _differences(scores), _differences(wanted) > 0
    return functional.softplus(-margins)[better].sum() / better.sum().clamp(min=1)


def list_mle(scores: Tensor, wanted: Tensor) -> Tensor:
    """Negative log-likelihood of the wanted order under Plackett and Luce (Xia et al., ICML 2008), a place.

    Equal passages stand in the order in which they are given.
    """
    ordered = scores[torch.argsort(wanted, descending=True, stable=True)]
    rest = torch.logcumsumexp(ordered.flip(0), dim=0).flip(0)
    return (rest - ordered).mean()


def lambda_rank(scores: Tensor, wanted: Tensor) -> Tensor:
    """RankNet with each pair weighted by what swapping it would change of nDCG (LambdaRank, Burges 2010; as a loss
    in its own right: LambdaLoss, Wang et al., CIKM 2018). Ranks are those of the scores as they stand.

    ``wanted`` is spread linearly over the grades 0 to `TOP_GRADE`, so that ranks serve as well as judgements.
    """
    spread = (wanted.max() - wanted.min()).clamp(min=1e-9)
    return lambda_of_grades(scores, TOP_GRADE * (wanted - wanted.min()) / spread)


def lambda_of_grades(scores: Tensor, grades: Tensor) -> Tensor:
    """`lambda_rank` with grades as people gave them, from 0: a list whose best has grade 1 counts for less."""
    gains = torch.exp2(grades) - 1
    places = torch.arange(len(scores), device=scores.device)
    discounts = 1 / torch.log2(places + 2.0)
    ranks = torch.empty_like(places)
    ranks[torch.argsort(scores.detach(), descending=True, stable=True)] = places
    ideal = (gains.sort(descending=True).values * discounts).sum().clamp(min=1e-9)
    weights = _differences(gains).clamp(min=0) * _differences(discounts[ranks]).abs() / ideal
    return (weights * functional.softplus(-_differences(scores))).sum()


def margin_mse(scores: Tensor, wanted: Tensor) -> Tensor:
    """Squared error of the differences (arXiv 2010.02666), mean over all pairs: the student learns how much better
    a passage is, so ``wanted`` must be on the scale that its scores are to have."""
    errors = scores - wanted
    return _differences(errors).square().sum() / max(1, len(scores) * (len(scores) - 1))


def cross_entropy(scores: Tensor, wanted: Tensor) -> Tensor:
    """Of the softmax of ``wanted`` (ListNet's top one, Cao et al., ICML 2007): a passage that is one better is e
    times as likely to be the best."""
    return -(torch.softmax(wanted, dim=0) * torch.log_softmax(scores, dim=0)).sum()


LOSSES: Mapping[LossName, Loss] = {
    "ranknet": ranknet,
    "listmle": list_mle,
    "lambda": lambda_rank,
    "margin-mse": margin_mse,
    "cross-entropy": cross_entropy,
}


def _differences(values: Tensor) -> Tensor:
    """Row minus column, [passages, passages]."""
    return values.unsqueeze(1) - values.unsqueeze(0)
