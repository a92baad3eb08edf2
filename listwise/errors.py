"""Every error this library raises on purpose.

    ListwiseError
    ├─ InputError            the caller's data: file, line, query
    ├─ ConfigError           the caller's settings, before any call
    │  ├─ UnknownModel
    │  ├─ TemplateError
    │  ├─ MissingExtra       says which pip command installs it
    │  └─ Unpriced           a model without a price under a dollar cap
    ├─ BudgetExceeded        limit, spent, asked
    ├─ LedgerFailed          the books cannot be written, so nothing may be spent
    ├─ CallError             one attempt failed
    │  ├─ Transient          worth another attempt
    │  │  ├─ RateLimited
    │  │  ├─ Timeout
    │  │  └─ ServerError
    │  │     └─ Garbled      a 200 that is no answer: at most one more attempt
    │  └─ Permanent          never retried
    │     ├─ Auth
    │     ├─ BadRequest
    │     ├─ ContextOverflow
    │     ├─ CircuitOpen     nothing was sent: the model keeps failing
    │     └─ Broken
    └─ AnswerError           an answer came, but no ranking can be read from it
       ├─ Refused
       └─ Unreadable

A message says what happened, to which query, and what to do next. Messages never carry a key.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Self

from listwise.pace import Pace


class ListwiseError(Exception):
    """The root: catch this to catch everything we raise on purpose."""


class InputError(ListwiseError):
    """The caller's data cannot be used; ``path``, ``line`` (from 1) and ``qid`` say where, as far as known."""

    def __init__(
        self, message: str, *, path: Path | str | None = None, line: int | None = None, qid: str | None = None
    ) -> None:
        place = "" if path is None else f"{path}: " if line is None else f"{path}:{line}: "
        query = "" if qid is None else f"query {qid!r}: "
        super().__init__(f"{place}{query}{message}")
        self.message, self.path, self.line, self.qid = message, path, line, qid


class ConfigError(ListwiseError):
    """The caller's settings cannot work; raised before any call is made."""


class UnknownModel(ConfigError):
    """No provider or model goes by that name."""


class TemplateError(ConfigError):
    """A prompt template is malformed; names the file and the field."""


class MissingExtra(ConfigError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an extra that is not installed: pip install 'listwise[{extra}]'")
        self.extra = extra


class Unpriced(ConfigError):
    """A model has no known price, and a dollar cap is set."""


class BudgetExceeded(ListwiseError):
    """The next attempt could exceed a cap. Amounts are in the cap's own unit (USD, tokens, calls, seconds).

    ``pending``: it would fit if attempts that are still on their way cost less than was reserved for them.
    """

    def __init__(
        self,
        limit: str,
        *,
        cap: Decimal | float,
        spent: Decimal | float,
        asked: Decimal | float,
        pending: bool = False,
    ) -> None:
        super().__init__(
            f"{limit} budget of {_plain(cap)} reached: {_plain(spent)} spent or reserved, "
            f"the next call may need {_plain(asked)}"
        )
        self.limit, self.cap, self.spent, self.asked, self.pending = limit, cap, spent, asked, pending

    @property
    def unit(self) -> str:
        """``USD``, ``tokens``, ``calls`` or ``seconds``."""
        return self.limit.rpartition(" ")[2]


def _plain(amount: Decimal | float) -> str:
    return f"{amount:f}" if isinstance(amount, Decimal) else str(amount)


class LedgerFailed(ListwiseError):
    """The ledger cannot be written, and a cap depends on it: no call may be made."""


class CallError(ListwiseError):
    """One attempt to reach a model failed.

    ``billable`` is True where the provider may have done (and billed) the work: a timeout or a broken
    connection, as opposed to a refusal to start.
    """

    billable = False
    sent = True
    """False where the model was not asked at all, because of what it said before."""
    pace: Pace | None = None
    """What the provider said about its rate limits when it refused."""

    def __init__(self, message: str, *, model: str, status: int | None = None) -> None:
        super().__init__(f"{model}: {message}")
        self.message, self.model, self.status = message, model, status

    def explained(self, why: str) -> Self:
        """The same error, which also says ``why`` it was the last one."""
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.message = f"{self.message} ({why})"
        other.args = (f"{self.model}: {other.message}",)
        return other


class Transient(CallError):
    """Worth another attempt; ``retry_after_s`` is the server's own wish, if it stated one."""

    hopeless = False
    """Whether the server says that another attempt is of no use."""

    def __init__(
        self, message: str, *, model: str, status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, model=model, status=status)
        self.retry_after_s = retry_after_s


class RateLimited(Transient):
    """HTTP 429 for speed, not for an exhausted quota."""


class Timeout(Transient):
    """No answer in time, or a connection that broke after the request was sent: the outcome is unknown."""

    billable = True
    by_deadline = False
    """Whether it was the query's time that ran out, not the request's: that says nothing about the server."""


class ServerError(Transient):
    """A 5xx, 408 or 409 answer, or a connection that could not be made."""


class Garbled(ServerError):
    """HTTP 200, but nothing that can be used. It may have been billed, and the next one may be no better."""

    billable = True


class Permanent(CallError):
    """Will fail the same way again."""


class Auth(Permanent):
    """The key is missing, wrong, or not allowed to use this model; or the account's quota is exhausted."""


class BadRequest(Permanent):
    """The server rejects the request as malformed."""


class ContextOverflow(Permanent):
    """The prompt does not fit the model's context.

    ``limit_tokens`` is the context's size and ``prompt_tokens`` the prompt's, where the server names them.
    """

    def __init__(
        self,
        message: str,
        *,
        model: str,
        status: int | None = None,
        limit_tokens: int | None = None,
        prompt_tokens: int | None = None,
    ) -> None:
        super().__init__(message, model=model, status=status)
        self.limit_tokens, self.prompt_tokens = limit_tokens, prompt_tokens


class CircuitOpen(Permanent):
    """The model has failed so often in a row that it is left alone for a while; nothing was sent."""

    sent = False


class Broken(Permanent):
    """The adapter of a model failed in a way of its own; whether anything was billed is unknown."""

    billable = True


class AnswerError(ListwiseError):
    """The model answered, but not with a ranking."""


class Refused(AnswerError):
    """The model declined to answer."""


class Unreadable(AnswerError):
    """No ranking can be read from the answer."""
