"""Sox, front to back: text in, a module of IR out.

`frontend.load` reads a script and the modules that it imports and gives a `Program`: trees
(`nodes.py`) in which every name is resolved (`symbols.py`).  Nothing here prints, runs code or
knows a machine.
"""
