"""The target-independent back end: IR in, bytes and printable lines out.

Takes functions of the IR and a `Target` record; gives emitted code, listings and
object files.  Knows registers as numbers and instructions as table rows, but no
mnemonic of any target, no source language and no file format.
"""
