"""Imported by the process that workers are forked from, so that one is replaced as soon as it is killed."""

import openai  # noqa: F401

import eval.benchmarks.chaos.provider
import eval.benchmarks.chaos.worker  # noqa: F401
from eval.benchmarks.chaos.work import warm_up

warm_up()
