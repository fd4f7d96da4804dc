"""Damaged inputs of a link: what is wrong is said, with the file and the place, and no more.

`python -m tests.link.fuzz` tries 100 000 of them; the tests try some.
"""
