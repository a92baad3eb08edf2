"""A service, and its page in a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.browser.chromium import Page
from tests.browser.serve.services import Running, looking_at, running


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
