"""What users of the page do, and where what they look at is."""

from __future__ import annotations

import httpx2

from tests.browser.chromium import Page
from tests.browser.serve.services import Running

PLACES = "[...document.querySelectorAll('#order > li')].map(each => Number(each.dataset.place))"
READ = "[...document.querySelectorAll('#order > .read')].map(each => Number(each.dataset.place))"
FRAMES = "[...document.querySelectorAll('#frames button')].map(each => each.textContent)"
CURRENT = "document.querySelector('#frames [aria-current]').textContent"
DONE = "document.querySelector('#frames .result')"
STILL = "Promise.all(document.getAnimations().map(each => each.finished.catch(() => 0)))"
FOCUSED = "document.activeElement"


async def text(page: Page, selector: str) -> str:
    found: str = await page.run(f"document.querySelector({selector!r}).innerText")
    return found


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


def figure(service: Running, name: str) -> float:
    """One of the service's metrics."""
    lines = httpx2.get(f"{service.url}/metrics").text.splitlines()
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))
