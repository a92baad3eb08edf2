"""A model whose key is refused, while it is and afterwards."""

from __future__ import annotations

import pytest

from listwise.errors import Auth, Permanent
from listwise.layers.barred import BAR_S, Barred
from listwise.layers.provider import Provider
from listwise.spend.tab import Budget, Tab
from tests.layers.clock import Clock
from tests.layers.models import MemoryModel, call, completion

REFUSED = Auth("bad key", model="memory/model", status=401)


def tab() -> Tab:
    return Tab("q1", Budget())


async def test_a_refused_key_is_tried_again_after_a_while() -> None:
    clock, model = Clock(), MemoryModel(REFUSED, REFUSED, completion())
    layer = Barred(Provider(model, 5), clock=clock)
    sent = []
    for seconds in (0, 1, BAR_S - 2, 1, BAR_S - 1):
        clock.now += seconds
        with pytest.raises(Auth, match="bad key") as caught:
            await layer.ask(call(), tab())
        sent.append(caught.value.sent)
    assert sent == [True, False, False, True, False]
    assert len(model.asked) == 2
    clock.now += 1
    for _ in range(3):
        assert (await layer.ask(call(), tab())).completion == completion()


async def test_what_is_turned_down_on_the_way_bars_nothing() -> None:
    model = MemoryModel(Permanent("a firewall", model="memory/model", status=403), completion())
    layer = Barred(Provider(model, 5), clock=Clock())
    with pytest.raises(Permanent):
        await layer.ask(call(), tab())
    assert (await layer.ask(call(), tab())).completion == completion()
