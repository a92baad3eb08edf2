"""The command line. Each group of commands is a file; none is imported before it is used."""

from __future__ import annotations

import sys

import click

from listwise import __version__
from listwise.cli.lazy import LazyGroup
from listwise.errors import ConfigError, InputError, ListwiseError

COMMANDS = {
    "rerank": "Re-rank a run, a file of requests, or one query.",
    "plan": "What a re-ranking would cost and take, before anything is spent.",
    "route": "Which queries go to the LLM, and why; fit and check the router.",
    "show": "What an LLM was shown and answered, window by window.",
    "eval": "Measure runs against judgements.",
    "data": "What is in a test collection, by folder or by name.",
    "experiment": "Experiments as files: planned, run, and reported on one page.",
    "bias": "Positional bias: what a place in the window does to a rank.",
    "mcp": "Tools for agents: rerank, explain, spend.",
    "distill": "Train a local cross-encoder from judgements, an LLM's orders and scores.",
    "serve": "Serve re-ranking over HTTP, in the shapes of the vendors' rerank APIs.",
    "keys": "The keys that clients of the service show.",
    "demo": "See it work: a local model, a real LLM, a receipt.",
    "init": "Copy the shipped policies and prompts into a folder, for editing.",
    "prompts": "List, show and check prompt templates.",
    "spend": "What was spent, on what, by whom; caps and leftovers.",
    "prices": "What a model costs, who says so, and since when.",
    "cache": "Look into the answer cache, or empty it.",
    "doctor": "Say which models can be used, and why not.",
}


@click.group(
    cls=LazyGroup,
    told=COMMANDS,
    place=("listwise.cli.{}_command", "command"),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="listwise")
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
def cli(verbose: bool) -> None:
    """Re-rank search results with a local model, escalate to an LLM where it pays, and get a receipt.

    \b
    Examples:
      listwise demo
      echo "Rayleigh scattering ..." | listwise rerank --query "why is the sky blue" --passages -
      listwise rerank --queries queries.tsv --corpus corpus.jsonl.gz --run bm25.trec --out reranked.trec \\
          --llm openai/gpt-4o --budget 0.02 --receipts receipts.jsonl
      listwise eval reranked.trec --qrels qrels.txt --measures nDCG@10
    """
    import logging

    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if verbose else logging.WARNING,
        format="listwise: %(levelname)s: %(message)s",
    )


def main() -> None:
    """Run the command line; exit 0 done, 1 failed, 2 bad input or settings, 130 interrupted."""
    try:
        status = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ListwiseError as error:
        click.echo(f"listwise: {error}", err=True)
        sys.exit(2 if isinstance(error, InputError | ConfigError) else 1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        click.echo(f"listwise: {error.filename or 'output'}: {error.strerror}", err=True)
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)
