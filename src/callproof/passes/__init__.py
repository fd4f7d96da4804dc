"""Optimisations: functions `run(function) -> bool`, one a file; `pipeline` orders them.

Take and give IR, keep what a program does.  Know nothing of targets.  Floats are
never rearranged: every operation rounds by itself, and -0.0 and NaN stay what they
are.
"""
