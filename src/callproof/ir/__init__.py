"""The one intermediate representation: typed SSA with block parameters.

Takes what front ends build, gives what passes change and code generation reads.
Knows signatures (`callproof.abi`), but no source language, register or encoding.
Its text form (`text`) prints and parses back to the same module; `interpret` says
what it means.
"""
