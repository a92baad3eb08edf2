"""A report in a real browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from listwise.eval.report.folder import read_folder
from listwise.eval.report.page import page_of
from tests.browser.chromium import Page, browser, chromium
from tests.eval.results_folder import make


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a made-up experiment."""
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("report")
        patch.setenv("LISTWISE_CACHE", str(place / "cache"))
        patch.setenv("LISTWISE_LEDGER", str(place / "ledger.db"))
        folder = make(place / "results", 8, collections=("one", "two"))
    path = folder / "report.html"
    path.write_text(page_of(read_folder(folder)), encoding="utf-8")
    return path


@pytest_asyncio.fixture
async def page(report: Path) -> AsyncIterator[Page]:
    """The report, loaded in a window of a desktop's size. Nothing may go wrong in it, nor ask the network."""
    path = browser()
    if path is None:
        pytest.skip("needs Chromium: `make test-browser` installs it, or set LISTWISE_CHROMIUM to its path")
    async with chromium(path) as shown:
        await shown.resize(1280)
        await shown.prefer("light")
        await shown.open(report)
        yield shown
        assert shown.problems == []
        assert {address.partition("#")[0] for address in shown.requests} == {report.resolve().as_uri()}
