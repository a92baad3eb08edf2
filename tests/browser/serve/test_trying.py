"""The page of the service in headless Chromium: its figures, and a query tried with real clicks."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from tests.browser.chromium import Page
from tests.browser.serve.doing import (
    CURRENT,
    DONE,
    FRAMES,
    PLACES,
    READ,
    STILL,
    figure,
    fill,
    text,
    try_the_example,
)
from tests.browser.serve.services import Running, looking_at, running

pytestmark = pytest.mark.browser


async def test_figures_are_the_services(page: Page, service: Running) -> None:
    await try_the_example(page)
    await page.until("document.querySelector('.ranking')")
    await page.until("!document.querySelector('#spending .amount').innerText.startsWith('$0 ')")
    status = httpx2.get(f"{service.url}/status").json()
    spent = float(status["spending"]["accounts"][0]["day"]["usd"])
    assert spent > 0
    spending = await text(page, "#spending")
    assert f"${spent:.4f}" in spending or f"${spent:.6f}" in spending
    assert "of $0.5" in spending
    assert "of $20" in spending
    meter = "document.querySelector('#spending [role=meter]')"
    assert float(await page.run(f"{meter}.ariaValueNow")) == pytest.approx(spent)
    width = await page.run(f"{meter}.firstChild.getBoundingClientRect().width / {meter}.clientWidth")
    assert width == pytest.approx(spent / 0.5, abs=0.02)
    assert "LLM" in await text(page, "#tiers")
    assert "within" in await text(page, "#seconds")
    assert f"{status['traffic']['calls']}" in await text(page, "#work")
    assert await page.run("document.querySelectorAll('#policies tr').length") == 2


async def test_a_query_is_tried_and_each_window_moves_the_passages(page: Page, service: Running) -> None:
    await page.click("#example")
    assert await text(page, "#count") == "24 passages."
    await page.click("#rank")
    await page.until("document.querySelector('#order .pending')")
    assert await page.run("document.querySelector('#stage').ariaBusy") == "true"
    assert await page.run("document.querySelector('#rank').ariaDisabled") == "true"
    assert len(await page.run(READ)) in (9, 10)
    assert "Step" in await text(page, "#said")
    await page.until(DONE)
    assert await page.run(FRAMES) == ["As given", "1", "2", "3", "4", "Result"]
    final = await page.run(PLACES)
    assert sorted(final) == list(range(24))
    assert "that gas makes the dough rise" in await text(page, "#order > li")
    recent = httpx2.get(f"{service.url}/recent").json()["rankings"][0]
    assert final[:3] == [each["index"] for each in recent["top"]]
    said = await text(page, "#receipt")
    assert all(each["text"] in said for each in recent["words"])
    assert "every query is escalated" in said
    orders = []
    for step in range(1, 5):
        await page.click(f"#frames button:nth-of-type({step + 1})")
        assert await page.run(CURRENT) == str(step)
        orders.append(await page.run(PLACES))
        read = await page.run(READ)
        assert read == orders[-1][5 * (4 - step) :][:10]
        assert step > 1 or sorted(read) == [*range(15, 24)]
        assert "<b>Sure!</b> [" in await text(page, "#windows pre")
        repaired = "repaired: missing 1" in await text(page, "#windows")
        assert repaired is (step == 1), "the window of nine was answered without its last"
    await page.click("#back")
    await page.click("#back")
    assert await page.run(PLACES) == orders[1] != orders[0]
    await page.click("#frames button:first-of-type")
    assert await page.run(PLACES) == list(range(24))
    await page.run(STILL)
    await page.click("#order li:nth-child(3) .name")
    await page.click("#next")
    marked = "[...document.querySelectorAll('#order .marked')].map(each => Number(each.dataset.place))"
    assert await page.run(marked) == [2]


async def test_passages_may_have_lines_of_their_own_and_a_policy_is_chosen(page: Page) -> None:
    await fill(page, "#query", "why does bread dough rise")
    await fill(page, "#passages", "rye bread\nkeeps long\n\n\nyeast makes\ngas, and that\nlifts the dough\n")
    assert await text(page, "#count") == "2 passages."
    await page.run(
        "(() => { const one = document.querySelector('#policy'); one.value = 'cheap'; "
        "one.dispatchEvent(new Event('input')); })()"
    )
    assert "no LLM is asked" in await text(page, "#policy-hint")
    await page.click("#rank")
    await page.until(DONE)
    assert (await page.run(FRAMES))[0] == "As given"
    assert "local model embedded" in await text(page, "#receipt")
    assert "probabilities" in await text(page, "#windows")
    assert await page.run("document.querySelector('#order .text').textContent") == (
        "yeast makes\ngas, and that\nlifts the dough"
    )


async def test_what_is_not_taken_is_said(service: Running) -> None:
    async with looking_at(service.url, expected=("422",)) as page:
        await page.until("document.querySelector('#policy').options.length")
        await fill(page, "#query", "q")
        await fill(page, "#passages", "\n".join(f"passage {at}" for at in range(41)))
        await page.click("#rank")
        await page.until("document.querySelector('#said').innerText.includes('refused')")
        assert "41 documents: at most 40" in await text(page, "#said")
        assert await page.run("document.querySelector('#rank').ariaDisabled") == "false"
        await fill(page, "#budget", "much")
        assert await page.run("document.querySelector('#budget').validity.patternMismatch")


async def test_a_budget_is_sent(page: Page) -> None:
    await page.click("#example")
    await fill(page, "#budget", "0")
    await page.click("#rank")
    await page.until(DONE)
    assert "query" in await text(page, "#receipt .degraded")
    assert await page.run(PLACES) == list(range(24))


async def test_work_can_be_stopped(page: Page, service: Running) -> None:
    gone = 'listwise_requests_total{outcome="gone",route="/try"} '
    before = figure(service, gone)
    await page.click("#example")
    await page.click("#rank")
    await page.until("document.querySelector('#order .pending')")
    await page.click("#stop")
    await page.until("document.querySelector('#said').innerText.startsWith('Stopped')")
    assert await page.run("document.querySelector('#stop').hidden")
    assert await page.run("document.querySelector('#order .pending')") is None
    for _ in range(100):
        if figure(service, gone) == before + 1:
            break
        await page.run("new Promise(done => setTimeout(done, 50))")
    assert figure(service, gone) == before + 1


async def test_it_is_replayed_and_paused(page: Page) -> None:
    await try_the_example(page)
    await page.click("#replay")
    assert (await text(page, "#replay"), await page.run(CURRENT)) == ("Pause", "As given")
    await page.until(f"{CURRENT} === '2'")
    await page.click("#replay")
    assert await text(page, "#replay") == "Replay"
    await page.click("#replay")
    await page.until(f"{CURRENT} === 'Result' && document.querySelector('#replay').innerText === 'Replay'")


async def test_many_windows_at_once_are_told_as_one_step(tmp_path: Path) -> None:
    with running(tmp_path, "--strategy", "pairwise-all") as service:
        async with looking_at(service.url) as page:
            await page.until("document.querySelector('#policy').options.length")
            await fill(page, "#query", "q")
            await fill(page, "#passages", "\n".join([*(f"passage {at}" for at in range(9)), "yeast makes gas"]))
            await page.click("#rank")
            await page.until(DONE)
            assert await page.run(FRAMES) == ["As given", "1", "Result"]
            await page.click("#back")
            assert await page.run("document.querySelectorAll('#windows > .window').length") == 4
            assert "and 30 more" in await text(page, "#windows")
            await page.click("#windows .more summary")
            assert await page.run("document.querySelectorAll('#windows .more[open] .window').length") == 56
