"""What holds for all tests."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from callproof import driver
from callproof.cli.app import COLLECTIONS
from callproof.runtime import runtime_files
from tests.support import checked_builds

# As the command line does: compilers make many objects and few cycles.
gc.set_threshold(*COLLECTIONS)


@pytest.fixture(scope="session", autouse=True)
def runtimes_are_there() -> None:
    """A new installation's first program builds them and says so: in no test's output."""
    for target in ("aarch64-linux", "x86_64-linux"):
        runtime_files(target)


@pytest.fixture(scope="session", autouse=True)
def every_build_is_checked() -> Iterator[None]:
    """See `tests/support/checked_builds.py`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver, "link_inputs", checked_builds.checking(driver.link_inputs))
        yield
