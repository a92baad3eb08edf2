"""Commands that measure: run them from the repository root, `python -m eval.benchmarks.NAME`."""
