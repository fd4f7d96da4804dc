"""Calling conventions as data: signatures in, locations out.

Takes a `Signature` (types as C sees them) and a `Convention`, gives a `CallPlan`
that says in which register or at which stack offset each part of each parameter
and of the result travels.  Knows nothing of the IR, of instructions or of code
generation, so that anybody who writes a compiler or a checker can import it.
"""

from __future__ import annotations

from callproof.abi.aapcs64 import AAPCS64
from callproof.abi.plan import Assignment, CallPlan, Convention, InRegister, OnStack, Part, plan
from callproof.abi.signature import Parameter, Signature

__all__ = [
    "AAPCS64",
    "Assignment",
    "CallPlan",
    "Convention",
    "InRegister",
    "OnStack",
    "Parameter",
    "Part",
    "Signature",
    "plan",
]
