"""The report page in headless Chromium: it renders, sorts, filters, opens queries, and serves all who read it."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import pytest

from tests.browser.chromium import Page

pytestmark = pytest.mark.browser

CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")
ROWS = "[...document.querySelectorAll('#systems tbody tr:not([hidden])')]"
"""The lines of the main table that are shown."""
NAMES = f"{ROWS}.map(row => row.querySelector('th').dataset.sort)"


async def column(page: Page, heading: str) -> list[str]:
    """What a column of the main table sorts by, in the order shown."""
    at = f"[...document.querySelectorAll('#systems thead th')].findIndex(each => each.textContent === {heading!r})"
    found: list[str] = await page.run(f"{ROWS}.map(row => row.children[{at}].dataset.sort)")
    return found


async def click(page: Page, selector: str, text: str = "") -> None:
    """Click the first element of a kind that holds a text."""
    found = await page.run(
        f"(() => {{ const each = [...document.querySelectorAll({selector!r})].find(one => one.textContent.includes("
        f"{text!r})); each?.click(); return Boolean(each); }})()"
    )
    assert found, f"no {selector} with {text!r}"


async def choose(page: Page, selector: str, value: str) -> None:
    """Set a control, as its user would."""
    await page.run(
        f"(() => {{ const control = document.querySelector({selector!r}); "
        f"if (control.type === 'checkbox') control.click(); else {{ control.value = {value!r}; "
        "control.dispatchEvent(new Event('input', {bubbles: true})); } })()"
    )


async def test_all_of_it_renders(page: Page) -> None:
    headings = await page.run("[...document.querySelectorAll('h2')].map(each => each.textContent)")
    assert headings == [
        *("Summary", "Cost and quality", "Systems", "Queries", "Position", "Receipts", "How it was made"),
    ]
    assert await page.run("document.querySelectorAll('.frontier .point').length") >= 20
    drawn = "section, .frontier, .heat, .curve"
    sizes = await page.run(
        f"[...document.querySelectorAll('{drawn}')].map(each => each.getBoundingClientRect().height)"
    )
    assert min(sizes) > 50
    names = await page.run(
        "[...document.querySelectorAll('.frontier')].map(drawing => [...drawing.querySelectorAll('.name')].map("
        "name => { const box = name.getBoundingClientRect(); "
        "return [box.left, box.top + 3, box.right, box.bottom]; }))"
    )
    for boxes in names:
        assert len(boxes) == 10
        for (left, top, right, bottom), (x, y, r, b) in combinations(boxes, 2):
            assert not (left < r and x < right and top < b and y < bottom), "a name covers another"


async def test_the_table_sorts_by_mouse_and_says_how(page: Page) -> None:
    await click(page, "#systems thead button", "Mean")
    means = [float(value) for value in await column(page, "Mean")]
    assert means == sorted(means, reverse=True)
    assert len(set(means)) > 5
    heading = "document.querySelector('#systems [aria-sort]')"
    assert await page.run(f"[{heading}.textContent, {heading}.ariaSort]") == ["Mean", "descending"]
    await click(page, "#systems thead button", "Mean")
    means = [float(value) for value in await column(page, "Mean")]
    assert means == sorted(means)
    assert await page.run(f"{heading}.ariaSort") == "ascending"
    await click(page, "#systems thead button", "$")
    costs = await column(page, "$ / 1,000")
    known = [float(cost) for cost in costs if cost]
    assert known == sorted(known, reverse=True)
    assert costs[len(known) :] == [""] * (len(costs) - len(known)), "what is not known comes last"
    assert "" in costs
    await click(page, "#systems thead button", "System")
    names = await page.run(NAMES)
    assert names == sorted(names, key=str.lower)


async def test_the_table_filters(page: Page) -> None:
    everything = await page.run(NAMES)
    assert everything.count("BM25") == 2
    assert not any("seed=" in name for name in everything)
    await choose(page, "#filters [name=collection]", "two")
    assert (await page.run(NAMES)).count("BM25") == 1
    await choose(page, "#filters [name=kind]", "llm")
    llms = await page.run(NAMES)
    assert "priced API" in llms
    assert "BM25" not in llms
    await choose(page, "#filters [name=simulated]", "")
    assert await page.run(NAMES) == ["priced API", "cheap API"]
    await choose(page, "#filters [name=words]", "CHEAP")
    assert await page.run(NAMES) == ["cheap API"]
    assert await page.run("document.querySelector('#shown').textContent") == "1 of 72 lines"
    await choose(page, "#filters [name=words]", "")
    await choose(page, "#filters [name=simulated]", "")
    await choose(page, "#filters [name=seeds]", "")
    assert sum("seed=" in name for name in await page.run(NAMES)) == 6
    await choose(page, "#filters [name=measure]", "RR(rel=2)@10")
    assert set(await page.run(f"{ROWS}.map(row => row.dataset.measure)")) == {"RR(rel=2)@10"}


async def test_a_query_with_its_windows(page: Page) -> None:
    await choose(page, "#find [name=words]", "sharks")
    assert await page.run("document.querySelectorAll('#list tbody tr').length") == 1
    await click(page, "#list tbody button", "sharks")
    await click(page, ".choose", "sliding on sim/weak")
    text = await page.run("document.querySelector('#query').innerText")
    assert text.startswith("how are some sharks warm blooded")
    assert "Ranking of the first seed: sliding on sim/weak" in text
    assert "simulated" in text
    assert re.search(r"Receipt: every query is escalated; 5 calls, 0 from the cache, 100 passages read", text)
    assert "Window 5 of 5, step 4: 20 passages" in text
    assert "Answer of sim/weak,malformed=0.3,bias=head,seed=0" in text
    assert re.search(r"window \d: \d+ → \d+", text)
    assert await page.run("document.querySelectorAll('#query .passage').length") == 20
    assert await page.run("document.querySelectorAll('#query .window').length") == 5
    assert await page.run("document.querySelectorAll('#query .window pre')[4].textContent.length") > 10
    lines = "[...document.querySelectorAll('.window:last-of-type .slope line')]"
    moved = await page.run(f"{lines}.map(line => [line.y1.baseVal.value, line.y2.baseVal.value])")
    places = [26 * at + 13 for at in range(20)]
    assert sorted(start for start, _ in moved) == sorted(end for _, end in moved) == places
    await click(page, "#query .window:last-of-type .doc")
    marked = await page.run("[...document.querySelectorAll('#query .marked')].map(each => each.dataset.doc)")
    assert len(marked) >= 2
    assert len(set(marked)) == 1


async def test_repairs_and_hostile_texts_are_shown_as_texts(page: Page) -> None:
    await choose(page, "#find [name=words]", "script")
    await click(page, "#list tbody button")
    heading = await page.run("document.querySelector('#query h3').textContent")
    assert heading.startswith("</script><script>alert(1)</script> & <b>\\x1b[31m\\u202e")
    await click(page, ".choose", "BM25")
    assert "<i>odd</i>&" in await page.run("document.querySelector('#query').innerText")
    assert await page.run("document.querySelectorAll('#query i:not(.bar i), #query b:not(summary b)').length") == 0
    repaired = 0
    for at in range(8):
        await choose(page, "#find [name=words]", "")
        await page.run(f"document.querySelectorAll('#list tbody button')[{at}].click()")
        await click(page, ".choose", "sliding on sim/weak")
        repaired += await page.run("document.querySelectorAll('#query summary .repaired, #query .failed').length")
    assert repaired > 0


async def test_an_address_opens_its_query(page: Page, report: Path) -> None:
    address = "#query=two/1085"
    await page.run(f"location.hash = {address!r}")
    for _ in range(2):
        heading = await page.run("document.querySelector('#query h3').textContent")
        assert heading == "what is the daily life of thai people"
        assert await page.run("document.querySelector('#find').elements.collection.value") == "two"
        await page.open(report, address)
    await page.open(report, "#query=nothing/like/%zz")
    assert await page.run("document.querySelector('#query').hidden")


async def test_it_is_used_by_keyboard_alone(page: Page) -> None:
    focused = "document.activeElement"
    await page.press("Tab")
    assert await page.run(f"{focused}.textContent") == "Skip to the content"
    assert await page.run(f"{focused}.getBoundingClientRect().left >= 0")
    await page.press("Enter")
    assert await page.run(f"{focused}.id") == "main"
    seen = []
    for _ in range(60):
        await page.press("Tab")
        seen.append(await page.run(f"{focused}.textContent.slice(0, 30) || {focused}.name"))
        assert await page.run(f"getComputedStyle({focused}).outlineStyle") != "none", seen[-1]
        if seen[-1] == "Mean":
            break
    assert seen[-1] == "Mean", seen
    await page.press("Enter")
    assert await page.run("document.querySelector('#systems [aria-sort]').ariaSort") == "descending"
    await page.press(" ")
    assert await page.run("document.querySelector('#systems [aria-sort]').ariaSort") == "ascending"
    await page.run("document.querySelector('#find [name=words]').focus()")
    await page.write("sharks")
    assert await page.run("document.querySelectorAll('#list tbody tr').length") == 1
    await page.press("Tab", 2)
    await page.press("Enter")
    await page.until(f"(document.querySelector('.choose') && {focused}.tagName != 'A')")
    assert await page.run(f"{focused}.textContent") == "how are some sharks warm blooded"
    await page.press("Tab", 3)
    await page.press("Enter")
    await page.until("(document.querySelector('.choose[aria-pressed=true]')?.textContent == 'SPLADE++')")


async def test_light_and_dark_by_the_system_and_by_hand(page: Page) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    light = await page.run(background)
    await page.prefer("dark")
    dark = await page.run(background)
    assert light == "rgb(255, 255, 255)"
    assert dark != light
    for theme, colour in (("light", light), ("dark", dark), ("system", dark)):
        await click(page, ".theme")
        assert await page.run("document.querySelector('.theme').textContent") == f"Theme: {theme}"
        assert await page.run(background) == colour


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_contrast_is_that_of_wcag_aa(page: Page, scheme: str) -> None:
    await page.prefer(scheme)
    await click(page, "#list tbody button")
    await click(page, ".choose", "sliding on sim/weak")
    await page.run("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert await page.run(CONTRAST) == []


async def test_a_phone_needs_no_sideways_scrolling(page: Page) -> None:
    await page.resize(360, 740, phone=True)
    for step in ("document.body.click()", "document.querySelector('#list tbody button').click()"):
        await page.run(step)
        assert await page.run("document.documentElement.scrollWidth") == 360
    await click(page, ".choose", "sliding on sim/weak")
    await page.run("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert await page.run("document.documentElement.scrollWidth") == 360


async def test_names_and_landmarks_for_screen_readers(page: Page) -> None:
    tree = (await page.send("Accessibility.getFullAXTree"))["nodes"]
    told = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree if not node["ignored"]]
    roles = [role for role, _ in told]
    assert {"banner", "main", "navigation", "contentinfo"} <= set(roles)
    named = {"button", "combobox", "searchbox", "checkbox", "image", "table", "region"}
    assert [role for role, name in told if role in named and not name] == []
    assert await page.run("document.querySelectorAll('.frontier > desc').length") == 2


async def test_it_prints(page: Page) -> None:
    printed = await page.pdf()
    assert printed.startswith(b"%PDF")
    assert len(printed) > 50_000
    await page.send("Emulation.setEmulatedMedia", media="print")
    for hidden in (".theme", "nav", "#filters"):
        assert not await page.run(f"document.querySelector({hidden!r}).checkVisibility()")
    for shown in ("h1", ".card", ".frontier", "#systems", "#totals"):
        assert await page.run(f"document.querySelector({shown!r}).checkVisibility()")
    await page.resize(794)
    assert await page.run("document.documentElement.scrollWidth") <= 794
