"""What inference has to look at again: functions for which something has changed.

A pass over the program walks every function; walking one for which nothing has changed
since its last walk would say the same again.  So each function is known by what it names
(the resolver notes that), and a change of a variable's class or of a function's result
marks those who name it.  The function that is being walked is marked only if it has asked
for the class before in the same walk: as most variables get theirs where they are declared,
most functions are walked once.  What a walk says of other functions' parameters, of lists and of
function variables is kept by function, and joined where anything of it has changed: a pass
with such marks says exactly what a pass over everything would say.

Units are the functions, by their number, and -1 for the first values of globals and fields.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TypeVar

from callproof.bcpl.symbols import FunctionInfo, ProgramInfo, Variable
from callproof.bcpl.value_types import ValueType

FIRST_VALUES = -1
Value = TypeVar("Value")
Said = dict[Variable, set[ValueType]]
Held = dict[Variable, "set[FunctionInfo] | None"]


class Work:
    """The units that a pass walks, in their order, and what they have said.

    passed    classes of arguments by parameter, of all units
    appended  classes of what is appended to lists
    held      the functions that variables can hold; None where that is not known
    asked     parameters of which something has changed since `candidates` was last called
    walks     how many units have been walked in all
    """

    def __init__(self, info: ProgramInfo) -> None:
        self.functions = info.functions
        self.passed: Said = {}
        self.appended: Said = {}
        self.held: Held = {}
        self.asked: set[Variable] = set()
        self.walks = 0
        self._passed_by: dict[Variable, dict[int, set[ValueType]]] = {}
        self._appended_by: dict[Variable, dict[int, set[ValueType]]] = {}
        self._held_by: dict[Variable, dict[int, set[FunctionInfo] | None]] = {}
        self._said: dict[int, tuple[Said, Said, Held]] = {}
        self._news: tuple[set[Variable], set[Variable]] = (set(), set())  # appended, held
        self._users: dict[object, list[int]] = {}
        self._member_users: list[int] = []
        self._value_users: list[int] = []
        self._fields = {f.variable for one in info.classes.values() for f in one.own_fields}
        for number, function in enumerate(info.functions):
            for named in function.named:
                self._users.setdefault(named, []).append(number)
            if function.uses_members:
                self._member_users.append(number)
            if function.uses_values:
                self._value_users.append(number)
        self._at = FIRST_VALUES
        self._pending = list(range(len(info.functions)))
        self._waiting = set(self._pending)
        self._later: set[int] = set()

    # --- whom a change concerns -----------------------------------------------------------

    def _mark(self, units: list[int]) -> None:
        for unit in units:
            if unit <= self._at:
                self._later.add(unit)
            elif unit not in self._waiting:
                self._waiting.add(unit)
                heappush(self._pending, unit)

    def variable_changed(self, variable: Variable, *, was_seen: bool = True) -> None:
        """Its class has changed; `was_seen`: after the present walk has asked for it."""
        units = self._users.get(variable, [])
        if not was_seen and self._at in units:
            units = [unit for unit in units if unit != self._at]
        self._mark(units)
        if variable in self._fields:
            self._mark(self._member_users)
        if variable.is_parameter:
            self.asked.add(variable)
            self._mark(self._value_users)

    def result_changed(self, function: FunctionInfo) -> None:
        self._mark(self._users.get(function, []))
        self._mark(self._value_users)
        if function.class_info is not None:
            self._mark(self._member_users)

    # --- a pass ---------------------------------------------------------------------------

    def begin_pass(self) -> None:
        """From now on marks mean this pass, if their unit is still to come."""
        self._at = FIRST_VALUES
        self._pending = sorted(self._later | self._waiting)
        heapify(self._pending)
        self._waiting, self._later = set(self._pending), set()

    def next_unit(self) -> int | None:
        """The next unit to walk; None at the end of the pass."""
        if not self._pending:
            self._at = len(self.functions)
            return None
        self._at = heappop(self._pending)
        self._waiting.discard(self._at)
        return self._at

    def walked(self, unit: int, passed: Said, appended: Said, held: Held) -> None:
        """A unit has been walked, and that is what it has said."""
        self.walks += 1
        passed_before, appended_before, held_before = self._said.get(unit, ({}, {}, {}))
        self._said[unit] = (passed, appended, held)
        appended_news, held_news = self._news
        if passed != passed_before:
            self.asked |= _replace(self._passed_by, unit, passed_before, passed)
        if appended != appended_before:
            appended_news |= _replace(self._appended_by, unit, appended_before, appended)
        if held != held_before:
            held_news |= _replace(self._held_by, unit, held_before, held)

    def end_pass(self) -> bool:
        """Join what was said; whether the next pass is told anything new of lists and functions."""
        for parameter in self.asked:
            self.passed[parameter] = set().union(*self._passed_by.get(parameter, {}).values())
        appended_news, held_news = self._news
        self._news = (set(), set())
        is_new = False
        for variable in appended_news:
            parts = self._appended_by.get(variable)
            before = self.appended.get(variable)
            if parts:
                self.appended[variable] = set().union(*parts.values())
            else:
                self.appended.pop(variable, None)
            if self.appended.get(variable) != before:
                is_new = True
                self.variable_changed(variable)
        for variable in held_news:
            before_held = self.held.get(variable)
            found = self._held_by.get(variable)
            if found:
                self.held[variable] = _held(found)
            else:
                self.held.pop(variable, None)
            # Nobody can tell a variable that can hold anything from one of which nothing is said.
            if self.held.get(variable) != before_held:
                is_new = True
                self.variable_changed(variable)
        return is_new

    def candidates(self) -> set[Variable]:
        """The parameters of which something has changed since this was last asked."""
        found, self.asked = self.asked, set()
        return found


def _held(parts: dict[int, set[FunctionInfo] | None]) -> set[FunctionInfo] | None:
    """The functions of all parts, if all are known."""
    joined: set[FunctionInfo] = set()
    for part in parts.values():
        if part is None:
            return None
        joined |= part
    return joined


def _replace(
    by_variable: dict[Variable, dict[int, Value]],
    unit: int,
    before: dict[Variable, Value],
    after: dict[Variable, Value],
) -> set[Variable]:
    """Put what a unit says in the place of what it said; the variables for which it differs."""
    different = set()
    for variable, said in after.items():
        if variable not in before or before[variable] != said:
            by_variable.setdefault(variable, {})[unit] = said
            different.add(variable)
    for variable in before:
        if variable not in after:
            del by_variable[variable][unit]
            different.add(variable)
    return different
