"""Experiment definitions, benchmarks and recorded results; not part of the wheel."""
