"""Calling conventions as data: signatures in, locations out.

Takes a `Signature` (types as C sees them, or the text of a C declaration) and a
`Convention`, gives a `CallPlan` that says in which register or at which stack offset
each part of each parameter and of the result travels, and why.  Layouts of structures
and unions are computed here too.  Knows nothing of the IR, of instructions or of code
generation, so that anybody who writes a compiler or a checker can import it.

    >>> from callproof import abi
    >>> call = abi.plan(abi.parse("double f(int a, double b);"), abi.AAPCS64)
    >>> [str(part.location) for parameter in call.parameters for part in parameter.parts]
    ['InRegister(register=0)', 'InRegister(register=32)']
"""

from __future__ import annotations

from callproof.abi.aapcs64 import AAPCS64
from callproof.abi.c_parser import CDeclarations, Prototype, parse, parse_declarations
from callproof.abi.darwin64 import DARWIN64
from callproof.abi.data_model import DataModel
from callproof.abi.layout import Member, layout
from callproof.abi.plan import Assignment, CallPlan, Convention, InRegister, OnStack, Part, plan
from callproof.abi.signature import Parameter, Signature
from callproof.abi.sysv64 import SYSV64
from callproof.abi.windows64 import WINDOWS64

CONVENTIONS = {convention.name: convention for convention in (AAPCS64, DARWIN64, WINDOWS64, SYSV64)}

__all__ = [
    "AAPCS64",
    "CONVENTIONS",
    "DARWIN64",
    "SYSV64",
    "WINDOWS64",
    "Assignment",
    "CDeclarations",
    "CallPlan",
    "Convention",
    "DataModel",
    "InRegister",
    "Member",
    "OnStack",
    "Parameter",
    "Part",
    "Prototype",
    "Signature",
    "layout",
    "parse",
    "parse_declarations",
    "plan",
]
