"""Calls against Clang's and GCC's: random signatures over the whole type space.

`cases` makes signatures, `values` the bytes that travel, `c_side` and `ir_side` the two
programs that call each other, `batch` compiles, links and runs them, `shrink` makes a
failing signature small, `campaign` (also `python -m tests.conformance`) runs many.
`x64` checks plans alone, without code of ours, for the types that IR text cannot say.
"""
