"""Damaged files: the checker says what is wrong with them, and neither crashes nor hangs.

`python -m tests.check.fuzz` tries 100 000 of them; the tests try some.
"""
