"""Experiments as files: what is to be compared on which collections, planned, run, and written into one folder."""
