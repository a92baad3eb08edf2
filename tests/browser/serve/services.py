"""A service as a process, with an LLM on the loopback, and its page in a browser."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from urllib.parse import urlsplit

import pytest

from tests.browser.chromium import Page, browser, chromium
from tests.cli.conftest import Shell
from tests.loopback import Asked, ScriptedServer
from tests.serve.test_commands import serving

WORDS = ("yeast", "gas", "rise", "dough", "dioxide", "<img")


@dataclass(slots=True)
class Running:
    """A service, its LLM, and where they are."""

    url: str
    llm: ScriptedServer
    shell: Shell
    process: Popen[str]


def by_words(asked: Asked) -> str:
    """What the LLM says: the passages with most of some words first, with markup that no page may obey. Windows of
    an odd size are answered without their last passage."""
    shown = {int(at): text.lower() for at, text in re.findall(r"^\[(\d+)\] (.+)$", asked.prompt, re.MULTILINE)}
    best = sorted(shown, key=lambda at: -sum(word in shown[at] for word in WORDS))
    return "<b>Sure!</b> " + " > ".join(f"[{at}]" for at in (best[:-1] if len(best) % 2 else best))


@contextmanager
def running(folder: Path, *arguments: str, key: str | None = None, delay_s: float = 0.0) -> Iterator[Running]:
    """`listwise serve` over the LLM; with ``key`` the service needs one, and a file of that name has it."""
    with pytest.MonkeyPatch.context() as patch, ScriptedServer(by_words, delay_s=delay_s) as llm:
        patch.setenv("LISTWISE_KEYS", str(folder / "keys.json"))
        patch.setenv("OPENAI_API_KEY", "k")
        shell = Shell(folder)
        if key is not None:
            (folder / key).write_text(shell.run("keys", "add", key, "--budget-day", "5").stdout)
        asking = ("--llm", "openai/gpt-4o", "--base-url", llm.base_url, "--escalate", "always", "--local", "none")
        windows = ("--window", "10", "--stride", "5", "--price", "openai/gpt-4o=2.5,10", "--guard", "off")
        with serving(shell, *asking, *windows, *arguments) as (process, url):
            yield Running(url, llm, shell, process)


@asynccontextmanager
async def looking_at(url: str, *, width: int = 1280, expected: tuple[str, ...] = ()) -> AsyncIterator[Page]:
    """The page, loaded. Nothing may go wrong in it but what is ``expected``, nor leave its origin."""
    path = browser()
    if path is None:
        pytest.skip("needs Chromium: `make test-browser` installs it, or set LISTWISE_CHROMIUM to its path")
    async with chromium(path) as page:
        await page.resize(width, phone=width < 500)
        await page.prefer("light")
        await page.open(url)
        yield page
        unexpected = [each for each in page.problems if not any(known in each for known in expected)]
        assert unexpected == [], unexpected
        own = {urlsplit(url).netloc}
        assert {urlsplit(each).netloc for each in page.requests if each.startswith("http")} == own
        await _keep(page)


async def _keep(page: Page) -> None:
    """For people to look at, where they say where: ``LISTWISE_PICTURES``."""
    if folder := os.environ.get("LISTWISE_PICTURES"):
        name = os.environ["PYTEST_CURRENT_TEST"].partition("::")[2].partition(" ")[0]
        await page.picture(Path(folder) / f"{re.sub(r'[^a-z0-9]+', '-', name)}.png", whole=True)
