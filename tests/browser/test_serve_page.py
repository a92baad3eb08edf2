"""The page of the service in headless Chromium: figures, a query tried by mouse and by keyboard, keys, phones."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from tests.browser.chromium import Page, browser, chromium
from tests.browser.services import Running, looking_at, running

pytestmark = pytest.mark.browser

CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")
PLACES = "[...document.querySelectorAll('#order > li')].map(each => Number(each.dataset.place))"
READ = "[...document.querySelectorAll('#order > .read')].map(each => Number(each.dataset.place))"
FRAMES = "[...document.querySelectorAll('#frames button')].map(each => each.textContent)"
CURRENT = "document.querySelector('#frames [aria-current]').textContent"
DONE = "document.querySelector('#frames .result')"
STILL = "Promise.all(document.getAnimations().map(each => each.finished.catch(() => 0)))"
FOCUSED = "document.activeElement"
HOSTILE = "<img src=x onerror=alert(1)> </script><script>alert(2)</script> yeast gas rise dough dioxide"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """It offers the LLM and a local policy, keeps caps, and shows queries."""
    folder = tmp_path_factory.mktemp("service")
    more = ("--budget-day", "0.5", "--budget-total", "20", "--offer", "cheap=offline", "--max-documents", "40")
    with running(folder, *more, "--log-queries", "--cache", "off", delay_s=0.25) as found:
        yield found


@pytest_asyncio.fixture
async def page(service: Running) -> AsyncIterator[Page]:
    """The page with its figures."""
    async with looking_at(service.url) as shown:
        await shown.until("document.querySelector('#policy').options.length")
        yield shown


async def text(page: Page, selector: str) -> str:
    found: str = await page.run(f"document.querySelector({selector!r}).innerText")
    return found


def figure(service: Running, name: str) -> float:
    """One of the service's metrics."""
    lines = httpx2.get(f"{service.url}/metrics").text.splitlines()
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


async def fill(page: Page, selector: str, content: str) -> None:
    """Type into a field that is empty."""
    await page.click(selector)
    await page.write(content)


async def try_the_example(page: Page) -> None:
    await page.click("#example")
    await page.click("#rank")
    await page.until(DONE)


async def tab_to(page: Page, wanted: str) -> None:
    """Press Tab until an element has the focus; each on the way shows that it has it."""
    for _ in range(40):
        await page.press("Tab")
        outline = await page.run(f"getComputedStyle({FOCUSED}).outlineStyle")
        assert outline != "none", await page.run(f"{FOCUSED}.outerHTML.slice(0, 200)")
        if await page.run(f"{FOCUSED}.matches({wanted!r})"):
            return
    raise AssertionError(f"{wanted} cannot be reached")


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


async def test_it_is_used_by_keyboard_alone(page: Page) -> None:
    await page.press("Tab")
    assert await page.run(f"{FOCUSED}.textContent") == "Skip to the content"
    await page.press("Enter")
    assert await page.run(f"{FOCUSED}.id") == "main"
    await tab_to(page, "#query")
    await page.write("why does bread dough rise")
    await tab_to(page, "#passages")
    await page.write("\n".join([f"passage {at}" for at in range(11)] + ["yeast makes gas"]))
    await tab_to(page, "#rank")
    await page.press("Enter")
    await page.until(DONE)
    await tab_to(page, "#stage")
    for key, frame in (
        *(("ArrowLeft", "2"), ("ArrowLeft", "1"), ("ArrowRight", "2"), ("Home", "As given")),
        *(("ArrowLeft", "As given"), ("End", "Result"), ("ArrowRight", "Result")),
    ):
        await page.press(key)
        assert await page.run(CURRENT) == frame
    assert (await page.run(PLACES))[0] == 11
    await tab_to(page, "#back")
    await page.press("Enter")
    assert await page.run(CURRENT) == "2"
    await tab_to(page, "#frames button")
    await page.press("Enter")
    assert await page.run(CURRENT) == await page.run(f"{FOCUSED}.textContent") == "As given"
    await tab_to(page, ".ranking summary")
    await page.press("Enter")
    assert await page.run(f"{FOCUSED}.parentElement.open")


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


@pytest.mark.parametrize("still", [False, True])
async def test_passages_move_where_motion_is_welcome(page: Page, still: bool) -> None:
    await page.prefer("light", still=still)
    await try_the_example(page)
    await page.run(STILL)
    moving = "(document.querySelector('#frames button').click(), document.getAnimations().length)"
    assert (await page.run(moving) > 0) is not still


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


async def test_nothing_else_may_run_or_be_asked(service: Running) -> None:
    async with looking_at(service.url, expected=("Content Security Policy", "Trusted", "violates")) as page:
        await page.until("document.querySelector('#policy').options.length")
        made = "Object.assign(document.createElement"
        for attempt in (
            f"document.body.append({made}('script'), {{textContent: 'window.ran = 1'}}))",
            "document.body.innerHTML = '<img src=x onerror=\"window.ran = 1\">'",
            "document.body.setAttribute('onclick', 'window.ran = 1')",
            f"document.head.append({made}('style'), {{textContent: 'body {{width: 7px}}'}}))",
        ):
            await page.run(f"(() => {{ try {{ {attempt} }} catch {{ /* as it should be */ }} }})()")
        await page.click("h1")
        assert await page.run("window.ran === undefined && document.body.offsetWidth > 7")
        elsewhere = await page.run("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'not sent')")
        assert elsewhere == "not sent"
        assert any("connect-src" in each for each in page.problems)


async def test_hostile_texts_are_texts(page: Page) -> None:
    await fill(page, "#query", HOSTILE)
    await fill(page, "#passages", "\n".join(["one", "two", HOSTILE]))
    await page.click("#rank")
    await page.until(DONE)
    assert (await text(page, "#order > li .text")).startswith("<img src=x onerror=")
    await page.press("Tab")
    await page.click("#back")
    assert "<b>Sure!</b>" in await text(page, "#windows pre")
    await page.until(f"document.querySelector('.ranking .what')?.textContent === {json.dumps(HOSTILE)}")
    await page.click(".ranking summary")
    assert "<img" in await text(page, ".ranking .best")
    assert await page.run("document.querySelectorAll('img, #open b:not(.legend b), #open script').length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_contrast_is_that_of_wcag_aa(page: Page, scheme: str) -> None:
    await page.prefer(scheme, still=True)
    assert await page.run(CONTRAST) == []
    await try_the_example(page)
    await page.until("document.querySelector('.ranking')")
    await page.run("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert await page.run(CONTRAST) == []
    await page.click("#frames button:nth-of-type(3)")
    assert await page.run(CONTRAST) == []


async def test_light_and_dark_by_the_system_and_by_hand(page: Page) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    light = await page.run(background)
    await page.prefer("dark")
    dark = await page.run(background)
    assert dark != light
    for theme, colour in (("light", light), ("dark", dark), ("system", dark)):
        await page.click("#theme")
        assert await text(page, "#theme") == f"Theme: {theme}"
        assert await page.run(background) == colour


async def test_a_phone_needs_no_sideways_scrolling(service: Running) -> None:
    wide = "document.documentElement.scrollWidth"
    async with looking_at(service.url, width=360) as page:
        await page.until("document.querySelector('#policy').options.length")
        assert await page.run(wide) == 360
        await fill(page, "#passages", "x" * 300 + "\n" + "y" * 300)
        await fill(page, "#query", "z" * 300)
        for begin in ("#rank", "#example"):
            await page.click(begin)
            if begin == "#example":
                await page.click("#rank")
            await page.until(DONE)
            await page.run("document.querySelectorAll('details').forEach(each => each.open = true)")
            assert await page.run(wide) == 360
        await page.click("#back")
        assert await page.run(wide) == 360
        table = "document.querySelector('.scroll')"
        assert await page.run(f"{table}.scrollWidth > {table}.clientWidth"), "tables scroll by themselves"


async def test_names_and_landmarks_for_screen_readers(page: Page) -> None:
    await try_the_example(page)
    tree = (await page.send("Accessibility.getFullAXTree"))["nodes"]
    told = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree if not node["ignored"]]
    assert {"banner", "main", "contentinfo", "meter", "status"} <= {role for role, _ in told}
    named = {"button", "combobox", "textbox", "image", "region", "meter", "group", "link"}
    assert [role for role, name in told if role in named - {"group"} and not name] == []
    live = await page.run("[...document.querySelectorAll('[aria-live]')].map(each => each.id)")
    assert "said" in live


async def test_a_key_opens_the_page_for_its_tab(tmp_path: Path) -> None:
    with running(tmp_path, key="team") as service:
        key = (tmp_path / "team").read_text().strip()
        async with looking_at(service.url, expected=("401",)) as page:
            assert await page.run(f"{FOCUSED}.id") == "key"
            assert not await page.run("document.querySelector('#open').checkVisibility()")
            assert {each.rpartition("/")[2] for each in page.requests}.isdisjoint({"status", "recent"})
            await page.write(key[:-1])
            await page.press("Enter")
            await page.until("document.querySelector('#key-wrong').innerText.includes('opens nothing')")
            assert len(page.problems) == 1
            await page.write(key)
            await page.click("#unlock button")
            await page.until("document.querySelector('#open').checkVisibility()")
            assert await text(page, "#who b") == "team"
            assert "account team" in await text(page, "#spending")
            assert "of $5" in await text(page, "#spending")
            await try_the_example(page)
            await page.until("document.querySelector('.ranking')")
            assert "passages" in await text(page, ".ranking .what")
            assert await page.run("JSON.stringify(localStorage) + document.cookie + location.href") == (
                f'{{"listwise-theme":"system"}}{service.url}/'
            )
            await page.open(service.url)
            await page.until("document.querySelector('#open').checkVisibility()")
            await page.click("#forget")
            await page.until("document.querySelector('#locked')?.checkVisibility()")
            assert await page.run("document.querySelector('#spending').innerText") == ""
            assert await page.run("sessionStorage.length") == 0


async def test_a_service_that_went_away_is_said_to_have(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        async with looking_at(service.url, expected=("ERR_CONNECTION", "Failed to load", "503")) as page:
            await page.until("document.querySelector('#policy').options.length")
            service.process.kill()
            service.process.wait()
            await page.until("!document.querySelector('#trouble').hidden")
            assert "does not answer" in await text(page, "#trouble")
            await page.click("#example")
            await page.click("#rank")
            await page.until("document.querySelector('#said').innerText.includes('does not answer')")


async def test_a_page_of_another_origin_cannot_spend_through_the_browser(service: Running) -> None:
    path = browser()
    if path is None:
        pytest.skip("needs Chromium: `make test-browser` installs it, or set LISTWISE_CHROMIUM to its path")
    body = json.dumps({"query": "q", "documents": ["a", "b"]})
    ways = {
        "text": f"{{method: 'POST', mode: 'no-cors', body: {json.dumps(body)}}}",
        "no type": f"{{method: 'POST', mode: 'no-cors', body: new Blob([{json.dumps(body)}])}}",
        "json": f"{{method: 'POST', headers: {{'content-type': 'application/json'}}, body: {json.dumps(body)}}}",
        "reading": "{}",
    }
    refused = 'listwise_requests_total{outcome="invalid",route="/try"} '
    before = figure(service, refused)
    asked_before = len(service.llm.asked)
    answers: dict[str, Any] = {}
    async with chromium(path) as page:
        await page.open(f"{service.llm.root}/")  # on this machine, too: from elsewhere the browser itself says no
        for name, options in ways.items():
            asked = f"{service.url}/{'status' if name == 'reading' else 'try'}"
            reading = "async answer => answer.type + await answer.text()"
            answers[name] = await page.run(f"fetch({asked!r}, {options}).then({reading}, () => 'failed')")
    assert set(answers.values()) <= {"opaque", "failed"}, "nothing of an answer is seen"
    assert answers["json"] == answers["reading"] == "failed"
    assert len(service.llm.asked) == asked_before
    assert figure(service, refused) == before + 3, "those that need no leave came, as did the question for leave"
