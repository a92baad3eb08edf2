"""The page of the service for all who use it: in light and dark, on phones, by keyboard, by ear, without motion."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.chromium import Page
from tests.browser.serve.doing import (
    CURRENT,
    DONE,
    FOCUSED,
    PLACES,
    STILL,
    fill,
    tab_to,
    text,
    try_the_example,
)
from tests.browser.serve.services import Running, looking_at

pytestmark = pytest.mark.browser

CONTRAST = (Path(__file__).parent.parent / "contrast.js").read_text(encoding="utf-8")


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


@pytest.mark.parametrize("still", [False, True])
async def test_passages_move_where_motion_is_welcome(page: Page, still: bool) -> None:
    await page.prefer("light", still=still)
    await try_the_example(page)
    await page.run(STILL)
    moving = "(document.querySelector('#frames button').click(), document.getAnimations().length)"
    assert (await page.run(moving) > 0) is not still
