"""A results folder as one page for people: ``folder`` reads it, ``findings`` says what comes of it, the rest draws.

The page is put together from `listwise.eval.report.markup`, which escapes whatever is not markup: names, queries,
passages and answers are untrusted.
"""
