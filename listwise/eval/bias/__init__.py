"""Positional bias: what the place at which a passage is shown does to the rank it is given.

Observations (`observations`) come from a live study (`live`), from traces, or from recorded answers (`recorded`);
`study` makes one report of them. docs/bias.md says what is measured, and by which formulas.
"""
