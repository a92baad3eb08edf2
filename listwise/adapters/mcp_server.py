"""An MCP server: an agent's tools to re-rank, to ask first what that would cost, and to see what was spent.

The operator decides on models, addresses, keys, files and caps; a client chooses among the policies that it is
offered, by name, and may lower a query's budget. Nothing that a client sends names a file, a model or a host.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from typing import Annotated, Any

from listwise import __version__
from listwise.adapters.mcp_answers import AccountSpend, Explained, Offer, Reranked, Result, Spent
from listwise.errors import ListwiseError, MissingExtra
from listwise.policy import Policy
from listwise.reranker import Reranker
from listwise.scores import SCORE_TYPE, by_position, check_top_n, placed, receipt_record
from listwise.spend.history import Filter, History, Line
from listwise.spend.money import MOST_USD, usd_of
from listwise.spend.sqlite import SqliteLedger
from listwise.spend.terms import Terms

try:
    from mcp.server import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError
    from mcp.types import ToolAnnotations
except ImportError as error:
    raise MissingExtra("the MCP server", "mcp") from error

from pydantic import Field

MOST_PASSAGES, MOST_QUERY_CHARACTERS, MOST_PASSAGE_CHARACTERS = 1000, 10_000, 200_000
"""A client's request is refused beyond these."""

QueryText = Annotated[str, Field(max_length=MOST_QUERY_CHARACTERS, description="What is searched for.")]
PassageText = Annotated[str, Field(max_length=MOST_PASSAGE_CHARACTERS)]
Passages = Annotated[list[PassageText], Field(max_length=MOST_PASSAGES, description="Best first, if known.")]
TopN = Annotated[int | None, Field(ge=1, description="How many come back; all if left out.")]
PolicyName = Annotated[str | None, Field(description="One of those named above; the default if left out.")]
Dollars = Annotated[
    float | None,
    Field(
        ge=0,
        le=float(MOST_USD),
        allow_inf_nan=False,
        description="The most that this query may cost; the operator's limit holds if it is lower.",
    ),
]


class Tools:
    """What the server's tools do.

    Args:
        default: the operator's policy.
        offered: policies that clients may choose instead, by name.

    Raises:
        ConfigError: a policy cannot work; before any call is made.
    """

    def __init__(self, default: Policy, offered: Mapping[str, Policy]) -> None:
        policies = {"default": default, **offered}
        first = next((name for name, policy in policies.items() if policy.pays), "default")
        paying = Reranker(policies[first])
        self.purse = paying.purse
        self._rerankers = {first: paying}
        try:
            for name, policy in policies.items():
                if name != first:
                    self._rerankers[name] = Reranker(policy, ledger=self.purse.ledger, run_id=self.purse.run)
        except BaseException:
            for each in self._rerankers.values():
                each.close()
            raise
        self.names = tuple(policies)

    async def rerank(
        self,
        query: QueryText,
        passages: Passages,
        top_n: TopN = None,
        policy: PolicyName = None,
        budget_usd: Dollars = None,
    ) -> Reranked:
        """Put passages in order of relevance to a query."""
        with _told_to_clients():
            check_top_n(top_n)
            name, reranker = self._chosen(policy)
            terms = Terms(usd=None if budget_usd is None else Decimal(repr(budget_usd)))
            ranking = await reranker.arerank(by_position(query, passages), terms=terms)
        return Reranked(
            results=[
                Result(index=each.index, relevance_score=each.score, probability=each.probability)
                for each in placed(ranking, top_n)
            ],
            score_type=SCORE_TYPE,
            policy=name,
            receipt=receipt_record(ranking.receipt),
        )

    async def explain(self, query: QueryText, passages: Passages, policy: PolicyName = None) -> Explained:
        """Say where a query would go, why, and what that would cost; nothing is spent and no LLM is asked."""
        with _told_to_clients():
            name, reranker = self._chosen(policy)
            request = by_position(query, passages)
            found = await reranker.aexplain([request], request.query.qid)
            plan = await reranker.aplan([request])
        figures: Any = plan.as_record()
        return Explained(
            policy=name,
            route=found.decision.route,
            reason=found.decision.reason,
            signals={name: value for name, value in found.asked.signals.items() if isfinite(value)},
            offers=[
                Offer(
                    tier=each.option.tier,
                    depth=each.option.depth,
                    votes=each.option.votes,
                    gain=each.gain,
                    expected_usd=float(usd_of(each.nano_usd)),
                    taken=each.option == found.decision.option,
                )
                for each in found.asked.offers
            ],
            expected_usd=float(figures["expected_usd"]),
            high_usd=float(figures["high_usd"]),
            expected_seconds=float(figures["expected_seconds"]),
            priced=plan.llm is None or plan.price_source is not None,
        )

    async def spend(self) -> Spent:
        """Say what was spent today (UTC), by account, and under which caps."""
        ledger, today = self.purse.ledger, datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        accounts: list[AccountSpend] = []
        with _told_to_clients():
            if isinstance(ledger, SqliteLedger):
                await ledger.flush()
                accounts = await asyncio.to_thread(self._accounts, History(ledger.path), today)
        return Spent(
            day=f"{today:%Y-%m-%d}",
            account=self.purse.account,
            kept=isinstance(ledger, SqliteLedger),
            accounts=accounts,
        )

    def _accounts(self, history: History, today: datetime) -> list[AccountSpend]:
        """Those that spent, and the one that this server spends from."""
        lines = {line.name: line for line in history.report("account", Filter(since=today))}
        kept, own = history.caps(), self.purse.account

        def cap(account: str, kind: str) -> float | None:
            asked = (
                {"day": self.purse.caps.day, "account": self.purse.caps.account}[kind] if account == own else None
            )
            caps = [each for each in (kept.get(account, {}).get(kind), asked) if each is not None]
            return float(min(caps)) if caps else None

        return [
            AccountSpend(
                account=account,
                usd=float(line.usd),
                reserved_usd=float(line.reserved_usd),
                queries=line.queries,
                input_tokens=line.input_tokens,
                output_tokens=line.output_tokens,
                cap_day_usd=cap(account, "day"),
                cap_total_usd=cap(account, "account"),
            )
            for account, line in sorted({own: Line(own), **lines}.items())
        ]

    def _chosen(self, name: str | None) -> tuple[str, Reranker]:
        name = name or "default"
        if name not in self._rerankers:
            raise ToolError(f"no policy {name!r} is offered here; there are: {', '.join(self.names)}")
        return name, self._rerankers[name]

    async def aclose(self) -> None:
        """Cancel what is under way, settle it, and close everything; the ledger last."""
        *others, paying = reversed(self._rerankers.values())
        for each in (*others, paying):
            await each.aclose()


def server_of(tools: Tools) -> MCPServer[Any]:
    """The server over some tools, which it closes when it ends."""

    @asynccontextmanager
    async def lifespan(_: MCPServer[Any]) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await tools.aclose()

    server = MCPServer(
        "listwise",
        title="listwise",
        version=__version__,
        instructions="Re-ranks search results: with a local model, and with an LLM where that pays.",
        log_level="WARNING",
        lifespan=lifespan,
    )
    policies = f"Policies: {', '.join(tools.names)}."
    server.add_tool(
        tools.rerank,
        description="Put passages in order of relevance to a query, best first. Use it to choose what to read of "
        f"search results. It may cost money; the receipt says how much, and 'explain' says so before. {policies}",
        annotations=ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=True),
    )
    server.add_tool(
        tools.explain,
        description="Say who would decide the order of these passages (a local model or an LLM), why, and what it "
        f"would cost. Nothing is spent. {policies}",
        annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
    )
    server.add_tool(
        tools.spend,
        description="What re-ranking cost today (UTC), by account, with the caps that hold.",
        annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
    )
    return server


async def serve(tools: Tools) -> None:
    """Serve over standard input and output until the client hangs up.

    An interrupt or SIGTERM cancels what is under way, settles it, closes the books, and ends the process: the SDK's
    thread that waits for input cannot be woken.
    """
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int] = loop.create_future()

    def stop(number: int) -> None:
        if not stopped.done():
            stopped.set_result(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    serving = asyncio.create_task(server_of(tools).run_stdio_async())
    either: set[asyncio.Future[Any]] = {serving, stopped}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if stopped.done():
        await tools.aclose()
        os._exit(128 + stopped.result())
    await serving


@contextmanager
def _told_to_clients() -> Iterator[None]:
    """What we raise on purpose is said to the client; anything else is logged, and hidden from it."""
    try:
        yield
    except ListwiseError as error:
        raise ToolError(str(error)) from error
