"""What the tools of the MCP server answer, as its clients see it in their schemas."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class Result(BaseModel):
    """A passage where the ranking has it."""

    index: int = Field(description="Its position among the passages given, from 0.")
    relevance_score: float = Field(
        description="1 for the best of n, 1/n for the last: it says the order, not how relevant the passage is."
    )
    probability: float | None = Field(
        description="That it is relevant, by the calibrated local model, if there is one; compares over queries."
    )


class Reranked(BaseModel):
    """A ranking with its receipt."""

    results: list[Result] = Field(description="Best first.")
    score_type: str
    policy: str
    receipt: dict[str, Any] = Field(
        description="Who decided the order and why (route, reason, model), what it cost (usd, tokens, seconds), "
        "and in 'degraded' what could not be done as asked."
    )


class Offer(BaseModel):
    """One way in which the LLM could read the candidates."""

    tier: str
    depth: int
    votes: int
    gain: float = Field(description="nDCG@10 that it is expected to gain over the local order.")
    expected_usd: float
    taken: bool


class Explained(BaseModel):
    """Where a query would go, and what that would take."""

    policy: str
    route: str = Field(description="Who would decide the order: llm, local, first_stage; empty without passages.")
    reason: str
    signals: dict[str, float] = Field(description="What the router sees of the query (see the documentation).")
    offers: list[Offer]
    expected_usd: float
    high_usd: float = Field(description="The most that it would cost, unless an attempt is lost on the way.")
    expected_seconds: float
    priced: bool = Field(description="False where the LLM has no known price: dollars are then 0.")


class AccountSpend(BaseModel):
    """What one account spent today."""

    account: str
    usd: float
    reserved_usd: float = Field(description="Set aside for what is under way; counts against the caps.")
    queries: int
    input_tokens: int
    output_tokens: int
    cap_day_usd: float | None = Field(description="What it may spend a day, None without such a cap.")
    cap_total_usd: float | None = Field(description="What it may ever spend.")


class Spent(BaseModel):
    """What was spent today, by account."""

    day: str = Field(description="UTC.")
    account: str = Field(description="The one that this server spends from.")
    kept: bool = Field(description="False where this server keeps no books, as nothing it does costs money.")
    accounts: list[AccountSpend]
