"""``listwise serve``."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from listwise.cli.options import policy_options, settings_given
from listwise.errors import ConfigError, MissingExtra
from listwise.serve.collecting import uncollected

if TYPE_CHECKING:
    from listwise.serve.settings import Limits, ServeSettings

EXAMPLES = """Serve re-ranking over HTTP, in the shapes of Cohere, Jina, vLLM, Voyage and TEI.

\b
Examples:
  listwise serve                                  the local model, for this machine only
  listwise serve --policy balanced --llm openai/gpt-4o --budget-total 20
  listwise keys add search-team --budget-day 5 --rate 600
  listwise serve --policy balanced --llm openai/gpt-4o --host 0.0.0.0 --workers 2
  listwise serve --policy frugal --llm openai/gpt-4o --offer cheap=offline --offer best=best.toml

A client may name a policy that is offered (by header X-Listwise-Policy, "listwise": {"policy": ...} in the body, or
as the model), and lower its budget and deadline; it never chooses an LLM, an address, a file or a key. Where there
are keys, every client needs one; without any the service is for this machine only. People find a page at /.
See docs/serve.md.
"""

SHARED = (
    *("llm", "base_url", "api", "prices", "price", "account", "ledger", "cache", "cache_size"),
    *("budget_total_usd", "budget_day_usd", "budget_account_usd"),
)
"""Options that hold for offered policies, too: which LLM it is, whose money, where things lie."""


@click.command("serve", help=EXAMPLES, short_help="Serve re-ranking over HTTP.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 is any free one.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option("--offer", multiple=True, metavar="NAME=POLICY", help="Another policy that clients may name.")
@click.option("--keys", type=click.Path(path_type=Path), metavar="FILE", help="[keys.json in the state folder]")
@click.option(
    "--over-cap",
    type=click.Choice(["local", "refuse"]),
    default="local",
    show_default=True,
    help="Without dollars left: the local order, or status 402.",
)
@click.option("--running", type=click.IntRange(1), metavar="N", help="Rankings at once, a worker. [256]")
@click.option("--queue", type=click.IntRange(0), metavar="N", help="Requests that may wait beyond. [256]")
@click.option("--connections", type=click.IntRange(1), metavar="N", help="Open at once, a worker. [1000]")
@click.option("--max-body", type=click.IntRange(1), metavar="BYTES", help="Of a request. [10485760]")
@click.option("--max-documents", type=click.IntRange(1), metavar="N", help="Of a request. [1000]")
@click.option("--max-deadline", type=click.FloatRange(0, min_open=True), metavar="S", help="For a request. [60]")
@click.option("--grace", type=click.FloatRange(0), metavar="S", help="For running requests, at the end. [30]")
@click.option("--log-queries", is_flag=True, help="Put queries into the access log.")
@click.option("--run-id", metavar="NAME", help="The run that is spent for. [a new one]")
@policy_options
def command(host: str, port: int, workers: int, **options: Any) -> None:
    """See ``EXAMPLES``."""
    with uncollected():
        try:
            from listwise.serve.running import run
        except ImportError as error:
            raise MissingExtra("the service", "serve") from error
        settings = _settings(workers, options)
    if settings.keys is None and not _is_loopback(host):
        raise ConfigError(
            f"{host} can be reached from elsewhere, and there are no keys: make one with `listwise keys add NAME`"
        )
    run(settings, host, port)


def _settings(workers: int, options: dict[str, Any]) -> ServeSettings:
    from listwise.policy import Policy
    from listwise.serve.keys import KeyFile, default_path
    from listwise.serve.settings import ServeSettings
    from listwise.spend.purse import new_run_id

    policy, given = options.pop("policy"), settings_given(options)
    policies = {"default": Policy.of(policy, **given)}
    for text in options["offer"]:
        name, base = _offered(text)
        if name in policies:
            raise ConfigError(f"--offer: there is a policy {name!r} already")
        policies[name] = Policy.of(base, **{key: given[key] for key in SHARED if key in given})
    file = KeyFile(options["keys"] or default_path())
    if options["keys"] is not None and not file.read():
        raise ConfigError(f"{file.path}: there are no keys in it: make one with `listwise keys add NAME`")
    return ServeSettings(
        policies,
        options["run_id"] or new_run_id(),
        _limits(options),
        keys=file.path if file.read() else None,
        over_cap=options["over_cap"],
        workers=workers,
        log_queries=options["log_queries"],
    )


def _limits(options: dict[str, Any]) -> Limits:
    from listwise.serve.settings import Limits

    named = {
        "running": "running",
        "queue": "queue",
        "connections": "connections",
        "max_body": "body_bytes",
        "max_documents": "documents",
        "max_deadline": "deadline_s",
        "grace": "grace_s",
    }
    return Limits(**{field: options[name] for name, field in named.items() if options[name] is not None})


def _offered(text: str) -> tuple[str, str]:
    name, is_there, base = text.partition("=")
    if not (name and is_there and base):
        raise ConfigError(f"--offer: {text!r} is not NAME=POLICY")
    return name, base


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
