"""Correct functions, each broken by one edit that a run confirms; what of them is found.

`corpus.py` has the functions (Clang, GCC, our compiler, hand-written kernels), `edits.py` the
kinds of edits, `machine.py` the harness that fills registers before a call and compares after,
`campaign.py` puts them together; `python -m tests.check.mutants` runs it and counts.
"""
