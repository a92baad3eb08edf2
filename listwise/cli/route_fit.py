"""``listwise route fit``."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from listwise.cli.inputs import INPUTS, input_options, requests_given
from listwise.cli.options import policy_options, settings_given
from listwise.errors import ConfigError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from listwise.formats.trec import Qrels
    from listwise.policy import Policy
    from listwise.routing.cases import Case
    from listwise.routing.offers import Option
    from listwise.types import Ranking, Request


@click.command("fit")
@input_options
@click.option(
    "--qrels", metavar="FILE", help="Judgements of the input's queries: the LLM ranks those that have any."
)
@click.option(
    "--ranked", multiple=True, metavar="NAME=RUN", help="An LLM's run over the same candidates: nothing is asked."
)
@click.option("--from-log", is_flag=True, help="From the log of routes, without judgements.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", help="The log from this day on.")
@click.option("--cases", "case_files", multiple=True, metavar="FILE", help="Cases that were kept before.")
@click.option("--keep-cases", metavar="FILE", help="Keep the cases, for route curve and route simulate.")
@click.option("--depths", default="20,50,100", metavar="N,N", help="Options of the router. [20,50,100]")
@click.option("--each-votes", default="1", metavar="N,N", help="Votes that each depth is tried with. [1]")
@click.option(
    "--slope",
    type=click.FloatRange(0, 1),
    help="nDCG@10 gained for each unit of disagreement, for the log and for route check. [as judged, else 0.23]",
)
@click.option("--note", default="", help="Kept in the file.")
@click.option("--out", required=True, metavar="FILE", help="Where to write the router.")
@policy_options
def fit(
    qrels: str | None,
    ranked: tuple[str, ...],
    from_log: bool,
    since: datetime | None,
    case_files: tuple[str, ...],
    keep_cases: str | None,
    depths: str,
    each_votes: str,
    slope: float | None,
    note: str,
    out: str,
    **options: Any,
) -> None:
    """Fit a router of your own: from judged queries, or from what LLMs have already answered.

    With --qrels, the LLM (--llm, under its budgets and through the cache) ranks each judged query at every depth;
    with --ranked, a run that it made elsewhere is taken for its opinion, and nothing is asked. With --from-log,
    what it gained is estimated from how much it disagreed with the local order, on queries that were escalated;
    with some --explore beforehand, weighted so that they stand for all.

    The file says how well gains are predicted on queries that were not fitted to; where that cannot be told from
    chance, the router expects the mean gain of every query, and says so.

    \b
    Examples:
      listwise route fit --requests requests.jsonl --qrels qrels.txt --llm openai/gpt-4o --out router.json
      listwise route fit --queries q.tsv --corpus c.jsonl --run bm25.trec --qrels qrels.txt \\
          --ranked gpt-4o=gpt4o.trec --out router.json
      listwise route fit --from-log --account team-search --out router.json
    """
    from listwise.cli.outputs import check_places
    from listwise.cli.route_show import card
    from listwise.policy import Policy
    from listwise.routing.cases import read_cases, write_cases
    from listwise.routing.disagreement import GAIN_PER_DISAGREEMENT
    from listwise.routing.fitting import fit as fitted_to
    from listwise.routing.offers import FIRST_CHOICE, Option

    check_places(out, keep_cases)
    policy = Policy.of(options.pop("policy"), **settings_given(options))
    chosen = [
        Option(FIRST_CHOICE, depth, votes)
        for depth in _numbers("--depths", depths, least=2)
        for votes in _numbers("--each-votes", each_votes, least=1)
    ]
    cases = [case for file in case_files for case in read_cases(Path(file))]
    if from_log:
        cases += _from_log(policy, since, GAIN_PER_DISAGREEMENT if slope is None else slope)
    if any(options.get(name) for name in INPUTS if name != "missing"):
        _check_options(cases, chosen)
        cases += _from_judgements(policy, options, qrels, ranked, chosen)
    if not cases:
        raise ConfigError("nothing to fit to: give --cases, --from-log, or queries with --qrels")
    if keep_cases:
        write_cases(Path(keep_cases), cases)
    llms = _named(case.llm.partition(",seed=")[0] for case in cases) or policy.llm or "the LLMs in the log"
    origin = _named(case.collection for case in cases) or "unnamed cases"
    scorer = policy.scorers[-1] if policy.scorers else "the first stage"
    found = fitted_to(cases, fitted_on=origin, llm=llms, scorer=scorer, note=note, gain_per_disagreement=slope)
    found.model.write(Path(out))
    click.echo("\n".join(card(found.model)))
    click.echo(f"\nwritten to {out}: use it with --router {out}")


def _check_options(cases: Sequence[Case], chosen: Sequence[Option]) -> None:
    """Before anything is paid for."""
    for case in cases:
        known = {outcome.option for outcome in case.outcomes}
        if known != set(chosen):
            told = ", ".join(f"depth {each.depth}, votes {each.votes}" for each in sorted(known))
            raise ConfigError(f"cases with other options cannot be added to query {case.qid!r}, which has {told}")


def _named(names: Iterable[str]) -> str:
    return ", ".join(sorted({name for name in names if name}))


def _numbers(option: str, text: str, least: int) -> list[int]:
    try:
        found = sorted({int(each) for each in text.split(",")})
    except ValueError:
        raise ConfigError(f"{option}: {text!r} is no list of numbers such as 20,50") from None
    if found[0] < least:
        raise ConfigError(f"{option}: {found[0]} is less than {least}")
    return found


def _from_log(policy: Policy, since: datetime | None, slope: float) -> list[Case]:
    from listwise.eval.routing_cases import logged
    from listwise.spend.history import History
    from listwise.spend.routes import RouteFilter
    from listwise.spend.schema import default_path

    path = Path(policy.ledger) if policy.ledger else default_path()
    after = None if since is None else since.replace(tzinfo=UTC).timestamp()
    log = History(path).routes(RouteFilter(account=policy.account, since=after))
    cases = logged(log, slope)
    if not cases:
        raise InputError(f"no query of account {policy.account!r} in the log was ranked by an LLM", path=path)
    return cases


def _from_judgements(
    policy: Policy, options: dict[str, Any], qrels: str | None, ranked: tuple[str, ...], chosen: list[Option]
) -> list[Case]:
    from listwise.eval.routing_cases import judged_among, recorded
    from listwise.formats import read_qrels, read_run

    if qrels is None:
        raise ConfigError("queries are given, and no --qrels: nothing says what was gained")
    if not ranked and policy.llm is None:
        raise ConfigError("give --llm, to be asked, or --ranked NAME=RUN")
    judged, requests = read_qrels(qrels), requests_given(options)
    file = Path(qrels).absolute()
    name = file.parent.name if file.stem == "qrels" else file.stem
    if not judged_among(requests, judged):
        raise InputError("none of the queries is judged, and has two candidates or more", path=Path(qrels))
    if ranked and any(option.votes > 1 for option in chosen):
        raise ConfigError("a run is one opinion: votes over it are for --llm")
    if not ranked:
        return _asked(policy, requests, judged, chosen, name)
    runs = {}
    for each in ranked:
        label, _, path = each.rpartition("=")
        runs[label or Path(path).stem] = read_run(path)
    cases = asyncio.run(recorded(policy, requests, judged, chosen, runs, name))
    for label in runs:
        if not any(case.llm == label for case in cases):
            raise InputError(f"{label} ranked none of the judged queries")
    return cases


def _asked(
    policy: Policy, requests: list[Request], judged: Qrels, chosen: list[Option], collection: str
) -> list[Case]:
    """Ask, and show how far it is."""
    from listwise.cli.screen import Totals, following, show_totals
    from listwise.eval.routing_cases import asked, judged_among

    count, totals = len(judged_among(requests, judged)), Totals("rankings")
    with following(count * len(chosen), totals) as follower:

        def told(ranking: Ranking) -> None:
            totals.add(ranking.receipt)
            follower.advance()

        cases = asyncio.run(asked(policy, requests, judged, chosen, collection, told))
    show_totals(totals)
    if not cases:
        raise InputError(f"the LLM ranked none of the {count} judged queries at every depth: nothing to fit to")
    if len(cases) < count:
        click.echo(
            f"listwise: left out, {count - len(cases)} queries: the LLM did not rank them at every depth", err=True
        )
    return cases
