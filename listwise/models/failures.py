"""The one place where what goes wrong with a request becomes an error of ours, and where keys are taken out of it.

An SDK's adapter says what happened (an HTTP status, a broken connection, an answer that makes no sense); the rules
for what that means are the same for all of them, and stand here:

    =========================================================  ==================================
    401, 402, 403; 429 or 400 because the account is empty     Auth
    403 that is no JSON: a firewall's, not the provider's      Permanent: other prompts may do
    429                                                        RateLimited, with the server's wish
    408                                                        ServerError, billable *
    409, 424 (TEI's own failure), 5xx, 529                     ServerError
    502, 504, 520, 524: a gateway lost sight of the work       ServerError, billable
    any of these with ``x-should-retry: false``                the same, hopeless
    400, 413, 422 because the prompt is too long               ContextOverflow, billable on Azure
    400, 403, 422 because of what the prompt says              Permanent, billable *: other prompts may do
    other 4xx, and redirects                                   BadRequest
    connection refused, no such host, no connection in time    ServerError
    no answer in time; broken after the request was sent       Timeout, billable
    a 200 that is no answer                                    Garbled, billable
    =========================================================  ==================================

    * but not on OpenAI's and Anthropic's own hosts, which are taken to charge for answers alone. Azure may charge
    for prompts that its content filter turns down, for those that are too long, and for a 408.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2

from listwise.calls import Identity
from listwise.errors import (
    Auth,
    BadRequest,
    CallError,
    ContextOverflow,
    Garbled,
    Permanent,
    RateLimited,
    ServerError,
    Timeout,
    Transient,
)
from listwise.models.http import pace_of, retry_after_s

LONGEST_DETAIL = 400
"""Characters of a server's own words that go into a message."""

_OVERFLOW = re.compile(
    r"context_length_exceeded|exceed_context_size|request_too_large|maximum (?:context|model) length"
    r"|prompt is too long|exceeds? (?:the )?(?:available |model'?s? |maximum )*context"
    r"|context (?:limit|window|length)",
    re.I,
)
_LIMIT_TOKENS = re.compile(
    r"maximum (?:context|model) length (?:is|of) (?:only )?(\d+)|tokens > (\d+) maximum|\d \+ \d+ > (\d+)|"
    r"context (?:size|window|length|limit) (?:is |of |\()(\d+)",
    re.I,
)
_PROMPT_TOKENS = re.compile(
    r"(\d+) (?:tokens )?in the (?:messages|prompt)|(\d+) input tokens|prompt is too long: (\d+) tokens"
    r"|context limit: (\d+) \+|messages resulted in (\d+) tokens|request \((\d+) tokens\)",
    re.I,
)
_EMPTY_ACCOUNT = re.compile(r"insufficient_quota|billing_|credit balance", re.I)
_PERHAPS_EMPTY = re.compile(r"exceeded your current quota", re.I)
"""OpenAI says so of an account, Gemini also of a minute; then it says when to come back."""
_COMES_BACK = re.compile(r"retry in \d", re.I)
_FLAGGED = r"content_filter|content_policy|content management policy|input was flagged"
_UNWELCOME = re.compile(rf"{_FLAGGED}|invalid_prompt|_policy\b", re.I)
_UNWELCOME_THOUGH_ALLOWED = re.compile(_FLAGGED, re.I)
"""What a 403 says of a prompt; other policies that it speaks of are the account's."""
_BEARER = re.compile(r"\b((?:bearer|basic|x-api-key:?)\s+)\S+|\bsk-[\w-]{6,}", re.I)

_NOTHING_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)
_LOST_BEHIND_A_GATEWAY = {502, 504, 520, 524}
_FREE_REJECTIONS = {"api.openai.com", "api.anthropic.com"}
"""Hosts that are taken to charge nothing for what they do not answer."""
_AZURE = (".azure.com", ".azure.us", ".azure.cn", ".azure-api.net")

_HINTS = {
    "temperature": "leave the temperature out for this model",
    "reasoning": "this model does not take that reasoning effort",
    "response_format": "this server cannot constrain answers; use a prompt with `form: text`",
    "output_config": "this model cannot constrain answers or takes no effort; use a prompt with `form: text`",
    "structured_outputs": "this server cannot constrain answers; use a prompt with `form: text`",
    "logprobs": "this server gives no log-probabilities, or not so many; use a strategy that orders by text",
    "seed": "leave the seed out for this model",
    "service_tier": "this model is not served at that tier; leave the service tier out",
}


@dataclass(frozen=True, slots=True)
class Failures:
    """Makes the errors of one model at one address."""

    identity: Identity
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def of_status(self, status: int, body: object, headers: Mapping[str, str]) -> CallError:
        """An HTTP answer other than 200."""
        error = self._of_status(status, body, headers)
        error.pace = pace_of(headers)
        if isinstance(error, Transient):
            error.hopeless = headers.get("x-should-retry") == "false"
        return error

    def _of_status(self, status: int, body: object, headers: Mapping[str, str]) -> CallError:
        code, said = _words(body)
        telling = f"{code} {said}"
        message = self.scrub(f"HTTP {status}: {said or 'no reason given'}")
        model = self.identity.name
        if status == 402 or (status in {400, 403, 429} and _is_empty(telling, headers)):
            return Auth(f"{message} (the account has nothing left to spend)", model=model, status=status)
        if status == 403 and not _is_from_api(body, headers):
            return Permanent(f"{message} (turned down on the way to the model)", model=model, status=status)
        if status == 401 or (status == 403 and not _UNWELCOME_THOUGH_ALLOWED.search(telling)):
            return Auth(f"{message} (is the key right, and may it use this model?)", model=model, status=status)
        if status == 429:
            return RateLimited(message, model=model, status=status, retry_after_s=retry_after_s(headers))
        if status in {408, 409, 424} or status >= 500:
            error = ServerError(message, model=model, status=status, retry_after_s=retry_after_s(headers))
            error.billable = status in _LOST_BEHIND_A_GATEWAY or (status == 408 and self._may_bill_rejections)
            return error
        return self._of_rejection(status, telling, message)

    def _of_rejection(self, status: int, telling: str, message: str) -> CallError:
        model = self.identity.name
        if status in {400, 413, 422} and _OVERFLOW.search(telling):
            limit, prompt = (_tokens(pattern, telling) for pattern in (_LIMIT_TOKENS, _PROMPT_TOKENS))
            error = ContextOverflow(message, model=model, status=status, limit_tokens=limit, prompt_tokens=prompt)
            error.billable = self._host.endswith(_AZURE)
            return error
        if status in {400, 403, 422} and _UNWELCOME.search(telling):
            unwelcome = Permanent(
                f"{message} (the provider will not answer this prompt)", model=model, status=status
            )
            unwelcome.billable = self._may_bill_rejections
            return unwelcome
        if status == 404:
            message += f" (is this the name of a model, and {self.identity.base_url} the right base URL?)"
        if 300 <= status < 400:
            message += " (the server redirects; give its new address as the base URL)"
        hints = [hint for name, hint in _HINTS.items() if name in telling.lower()]
        return BadRequest(f"{message} ({hints[0]})" if hints else message, model=model, status=status)

    @property
    def _host(self) -> str:
        return urlsplit(self.identity.base_url).hostname or ""

    @property
    def _may_bill_rejections(self) -> bool:
        """Whether work that came to no answer may cost something there."""
        return self._host not in _FREE_REJECTIONS

    def of_connection(self, cause: BaseException | None) -> CallError:
        """A connection that could not be made, or broke; ``cause`` is the HTTP client's own exception."""
        model, where = self.identity.name, self.identity.base_url
        what = type(cause).__name__ if cause is not None else "broken"
        if isinstance(cause, _NOTHING_SENT):
            return ServerError(
                f"no connection to {where} ({what}); is it running, and is there a network?", model=model
            )
        if isinstance(cause, httpx2.LocalProtocolError | httpx2.InvalidURL):
            return BadRequest(f"the request to {where} cannot be sent as HTTP ({what})", model=model)
        return Timeout(f"the connection to {where} broke before the answer was there ({what})", model=model)

    def of_silence(self, timeout_s: float) -> Timeout:
        """No answer in time."""
        return Timeout(f"no answer within {timeout_s:.3g} s", model=self.identity.name)

    def of_answer(self, why: str) -> Garbled:
        """HTTP 200, but nothing that can be used; it may have been billed."""
        return Garbled(self.scrub(f"HTTP 200, but {why}"), model=self.identity.name, status=200)

    def of_text(self) -> BadRequest:
        """The prompt cannot be written as UTF-8."""
        return BadRequest("the prompt holds characters that are no Unicode text", model=self.identity.name)

    def cleansed(self, error: Exception) -> Exception:
        """The SDK's exception itself, with keys taken out of what a traceback prints of it."""
        error.args = tuple(self.scrub(part) if isinstance(part, str) else part for part in error.args)
        return error

    def scrub(self, text: str) -> str:
        """The text on one line, not too long, without keys."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        text = _BEARER.sub(lambda match: f"{match[1] or ''}***", text)
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= LONGEST_DETAIL else f"{text[:LONGEST_DETAIL]}..."


def _tokens(pattern: re.Pattern[str], text: str) -> int | None:
    """A number of tokens that a server names; None where it does not, or names none that can be."""
    found = pattern.search(text)
    number = int(next(group for group in found.groups() if group)[:9]) if found else 0
    return number or None


def _is_empty(telling: str, headers: Mapping[str, str]) -> bool:
    """Whether it is the account that is used up, and not a minute's share."""
    if _EMPTY_ACCOUNT.search(telling):
        return True
    comes_back = retry_after_s(headers) is not None or _COMES_BACK.search(telling)
    return not comes_back and bool(_PERHAPS_EMPTY.search(telling))


def _is_from_api(body: object, headers: Mapping[str, str]) -> bool:
    """Whether an error is the provider's own, and so JSON (of which an SDK may pass on no more than a string)."""
    return not (body is None or isinstance(body, str)) or "json" in headers.get("content-type", "")


def _words(body: Any) -> tuple[str, str]:
    """The machine's words (code, type, parameter) and the message, from any provider's error body."""
    inner = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(inner, dict):
        codes = (inner.get(name) for name in ("code", "type", "param"))
        message = inner.get("message") or inner.get("detail") or ""
        return " ".join(str(code) for code in codes if code), message if isinstance(message, str) else json.dumps(
            message
        )
    return "", inner if isinstance(inner, str) else ""
