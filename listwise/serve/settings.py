"""What an operator decides: policies that clients may name, limits, where keys are. Sent to every worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from listwise.errors import ConfigError
from listwise.policy import Policy

OverCap = Literal["local", "refuse"]
"""What a request gets whose account has no dollars left: the local model's order, or status 402."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what one worker takes on."""

    connections: int = 1000
    """Open at once; those beyond are told to come again."""
    head_s: float = 10.0
    """Seconds in which a request's head must have come, from when its connection, or itself, began."""
    read_s: float = 15.0
    """Seconds in which a client must have read some of an answer."""
    body_bytes: int = 10 * 2**20
    body_s: float = 30.0
    """Seconds in which a body must have come."""
    documents: int = 1000
    query_chars: int = 32_768
    document_chars: int = 262_144
    running: int = 256
    """Rankings at once."""
    queue: int = 256
    """Requests that wait for their turn; those beyond are told to come again."""
    deadline_s: float = 60.0
    """Seconds that a ranking may take, waiting included, whatever its policy and its client say."""
    grace_s: float = 30.0
    """Seconds that running requests have to finish once the service is told to stop."""


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """One service.

    Raises:
        ConfigError: there is no policy, or one that cannot be served.
    """

    policies: Mapping[str, Policy]
    """Those that a client may name; the first is for clients that name none."""
    run_id: str
    """The run that all workers spend for: a policy's budget for the run is the service's."""
    limits: Limits = field(default_factory=Limits)
    keys: Path | None = None
    """The file of keys; None where nobody needs one."""
    over_cap: OverCap = "local"
    workers: int = 1
    log_queries: bool = False

    def __post_init__(self) -> None:
        if not self.policies:
            raise ConfigError("a service needs a policy")
        for name, policy in self.policies.items():
            if self.keys is not None and policy.pace:
                raise ConfigError(
                    f"policy {name}: pace spreads one account's day, and each key has an account of its own"
                )

    @property
    def default(self) -> str:
        """The policy of clients that name none."""
        return next(iter(self.policies))
