"""``listwise bias``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from listwise.cli.inputs import INPUTS, input_options, requests_given
from listwise.cli.options import POLICY_OPTIONS
from listwise.errors import ConfigError, InputError
from listwise.strategies import StrategyName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from listwise.eval.bias.live import Design
    from listwise.eval.bias.mending import System
    from listwise.eval.bias.observations import Observation
    from listwise.eval.bias.positions import Grades
    from listwise.eval.bias.study import Study

EXAMPLES = """What the place at which a passage is shown does to the rank it is given.

\b
Examples:
  listwise bias --llm openai/gpt-4o --queries queries.tsv --corpus corpus.jsonl.gz --run bm25.trec --plan
  listwise bias --llm openai/gpt-4o --queries queries.tsv --corpus corpus.jsonl.gz --run bm25.trec \\
      --qrels qrels.txt --window 20 --sizes 5,10 --shuffles 10 --votes 5 --budget-total 2.00 --out bias/gpt-4o
  listwise bias --llm sim/biased,qrels=qrels.txt --requests requests.jsonl --qrels qrels.txt
  listwise bias --trace trace.jsonl --qrels qrels.txt
  listwise bias --answers answers.jsonl.gz --qrels qrels.txt --json

Live, every window is shown in several random orders, as the first stage has it, reversed and, with --qrels, with
the relevant passages planted first, in the middle and last. What it costs at most is said before anything is
asked. Answers are cached: a study that was interrupted goes on where it was, one that is made larger asks only for
what is new.

From traces (`listwise rerank --votes 5 --trace FILE`) and recorded answers nothing is asked, and nothing spent.
Where the same passages never came in two orders, position and quality cannot be told apart: --qrels adjusts by
grade. docs/bias.md has the formulas.
"""
SETTINGS = (
    "llm", "base_url", "api", "service_tier", "prompt", "temperature", "reasoning_effort", "max_output_tokens",
    "window", "seed", "budget_total_usd", "budget_day_usd", "budget_account_usd", "account", "ledger", "prices",
    "price", "concurrency", "rpm", "tpm", "timeout_s", "attempts", "counting", "cache", "cache_size",
)  # fmt: skip
"""Of a policy, those that a study leaves open."""
LIVE_ONLY = ("depth", "sizes", "shuffles", "votes", "strategies", "run_id", "plan_only")
WINDOW, SHUFFLES = 20, 10


def _setting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for name in reversed(SETTINGS):
        command = POLICY_OPTIONS[name](command)
    return command


@click.command("bias", help=EXAMPLES, short_help="Positional bias: what a place in the window does to a rank.")
@input_options
@click.option("--trace", "traces", multiple=True, metavar="FILE", help="Windows of a trace; may be repeated.")
@click.option("--answers", multiple=True, metavar="FILE", help="Recorded answers, JSONL; may be repeated.")
@click.option("--model", "models", multiple=True, metavar="NAME", help="Of these files, this model only. [all]")
@click.option("--qrels", metavar="FILE", help="Judgements: for nDCG, planted orders, and to adjust by grade.")
@_setting_options
@click.option("--depth", type=int, metavar="N", help="Candidates that are cut into windows. [one window]")
@click.option("--sizes", metavar="N,N", help="Other window sizes, to compare.")
@click.option("--shuffles", type=int, metavar="N", help=f"Random orders of each window. [{SHUFFLES}]")
@click.option("--votes", type=int, metavar="N", help="Compare so many votes with one answer.")
@click.option("--strategies", metavar="NAME,NAME", help="Compare, the others with the first, over --depth.")
@click.option("--run-id", metavar="NAME", help="Go on with a run: what it spent counts. [a new one]")
@click.option("--plan", "plan_only", is_flag=True, help="Say what it would cost, and stop.")
@click.option("--rbo-p", type=click.FloatRange(0, 1, True, True), default=0.9, help="Of rank-biased overlap. [0.9]")
@click.option("--out", metavar="FOLDER", help="Figures (SVG, PNG), bias.json and, live, the trace.")
@click.option("--json", "as_json", is_flag=True, help="All figures, for programs.")
def command(**options: Any) -> None:
    """See ``EXAMPLES``."""
    files = bool(options["traces"] or options["answers"])
    if files and options["llm"]:
        raise ConfigError("--llm asks a model; --trace and --answers are of answers already given: leave one out")
    if not files and not options["llm"]:
        raise ConfigError("give --llm, with queries and candidates, to ask a model; or --trace or --answers")
    studies = _from_files(options) if files else _live(options)
    if studies is None:
        return
    from listwise.cli.bias_tables import show, told

    if options["out"]:
        _write(studies, Path(options["out"]))
    if options["as_json"]:
        click.echo(told(studies))
    else:
        show(studies)


def _from_files(options: dict[str, Any]) -> list[Study]:
    """A study for each model of the files."""
    from listwise.eval.bias.recorded import read_answers, read_trace
    from listwise.eval.bias.study import study_of

    unused = (*INPUTS, *(name for name in SETTINGS if name != "seed"), *LIVE_ONLY)
    _refuse(options, unused, "where answers are read from files")
    grades = _grades(options["qrels"])
    by_model: dict[str, list[Observation]] = {}
    simulated: set[str] = set()
    for path in options["traces"]:
        for each, made_up in read_trace(path):
            by_model.setdefault(each.model, []).append(each)
            simulated |= {each.model} if made_up else set()
    for path in options["answers"]:
        for each in read_answers(path):
            by_model.setdefault(each.model, []).append(each)
    chosen = {model: found for model, found in by_model.items() if model in (options["models"] or by_model)}
    if not chosen:
        known = ", ".join(by_model) or "no answered window of two passages or more"
        raise InputError(f"nothing to study: the files hold {known}")
    for model, found in chosen.items():
        _check_queries(found, model)
    return [
        study_of(
            found,
            grades=grades,
            simulated=model in simulated,
            seed=options["seed"] or 0,
            persistence=options["rbo_p"],
        )
        for model, found in chosen.items()
    ]


def _live(options: dict[str, Any]) -> list[Study] | None:
    """The study of one model, which is asked; None where only the plan was wanted.

    Raises:
        click.exceptions.Exit: a signal stopped it.
    """
    from listwise.cli.bias_asking import Asking
    from listwise.cli.stopping import run_until_stopped
    from listwise.eval.bias.study import study_of
    from listwise.formats import read_qrels

    _refuse(options, ("models",), "where a model is asked")
    design = _design(options)
    qrels = read_qrels(options["qrels"]) if options["qrels"] else {}
    given = {name: options[name] for name in SETTINGS if name != "window"}
    settings = {name: value for name, value in given.items() if value not in (None, ())}
    asking = Asking(requests_given(options), design, qrels, settings, options["run_id"])
    asking.show_plan()
    if options["plan_only"]:
        return None
    grades = _grades(options["qrels"])
    folder = Path(options["out"]) if options["out"] else None
    if folder is not None:
        _make(folder)

    observations: list[Observation] = []
    systems: list[System] = []

    async def work() -> None:
        async with asking:
            observations.extend(await asking.observe(folder))
            systems.extend(await asking.compare(grades, options["rbo_p"]))

    stopped_by = run_until_stopped(work)
    asking.show_spent()
    if stopped_by:
        click.echo("listwise: interrupted; the same command goes on from here", err=True)
        raise click.exceptions.Exit(128 + stopped_by)
    _check_queries(observations, options["llm"])
    study = study_of(
        observations,
        grades=grades,
        lengths=asking.lengths,
        systems=systems,
        simulated=asking.simulated,
        size=design.window,
        seed=design.seed,
        persistence=options["rbo_p"],
    )
    return [study]


def _design(options: dict[str, Any]) -> Design:
    """What is to be asked.

    Raises:
        ConfigError: the numbers do not go together.
    """
    from listwise.eval.bias.live import Design

    window = options["window"] or WINDOW
    try:
        sizes = tuple(int(size) for size in (options["sizes"] or "").split(",") if size)
    except ValueError:
        raise ConfigError(f"sizes is {options['sizes']!r}: numbers of passages, with commas between") from None
    depth = options["depth"] or max(window, *sizes, 2)
    shuffles = SHUFFLES if options["shuffles"] is None else options["shuffles"]
    strategies: Any = tuple(name.strip() for name in (options["strategies"] or "").split(",") if name)
    for name in strategies:
        if name not in get_args(StrategyName):
            raise ConfigError(f"no strategy {name!r}; there are: {', '.join(get_args(StrategyName))}")
    if min(window, *sizes, window) < 2 or max(window, *sizes, window) > depth:
        raise ConfigError(f"windows hold from 2 to as many passages as are looked at, {depth} (--depth)")
    if shuffles < 2:
        raise ConfigError(f"shuffles is {shuffles}: it takes two orders to tell position from quality")
    if options["votes"] is not None and not 2 <= options["votes"] <= 100:
        raise ConfigError(f"votes is {options['votes']}: from 2 to 100 can be compared with one answer")
    sizes = tuple(dict.fromkeys(size for size in sizes if size != window))
    return Design(window, depth, sizes, shuffles, options["votes"] or 1, strategies, options["seed"] or 0)


def _refuse(options: dict[str, Any], names: Sequence[str], where: str) -> None:
    """Options that would do nothing.

    Raises:
        ConfigError: one was given.
    """
    spelt = {each.name: each.opts[-1] for each in command.params}
    idle = [spelt[name] for name in names if options[name] not in (None, (), False, "error")]
    if idle:
        raise ConfigError(f"{', '.join(idle)}: of no use {where}")


def _check_queries(observations: Sequence[Observation], model: str) -> None:
    from listwise.eval.bias.study import FEWEST_QUERIES

    found = len({each.qid for each in observations})
    if found < FEWEST_QUERIES:
        raise InputError(f"{model}: answers to {found} queries; intervals need at least {FEWEST_QUERIES}")


def _grades(path: str | None) -> Grades | None:
    from listwise.formats import read_qrels

    if path is None:
        return None
    return {(qid, docid): float(grade) for qid, of in read_qrels(path).items() for docid, grade in of.items()}


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot be made: {error.strerror}", path=folder) from error


def _write(studies: Sequence[Study], folder: Path) -> None:
    """The figures as pictures and as JSON."""
    from listwise.cli.bias_tables import told
    from listwise.eval.bias.plots import PICTURES

    _make(folder)
    for stem, draw in PICTURES.items():
        for form in ("svg", "png"):
            draw(studies, folder / f"{stem}.{form}")
    path = folder / "bias.json"
    try:
        path.write_text(told(studies) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write: {error.strerror}", path=path) from error
    click.echo(f"written to {folder}", err=True)
