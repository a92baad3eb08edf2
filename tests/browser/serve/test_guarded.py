"""The page of the service under attack, with keys, and without its service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import Page, browser, chromium
from tests.browser.serve.doing import (
    DONE,
    FOCUSED,
    figure,
    fill,
    text,
    try_the_example,
)
from tests.browser.serve.services import Running, looking_at, running

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)> </script><script>alert(2)</script> yeast gas rise dough dioxide"


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
