"""The quick look against the full flow: what it passes, the flow finds nothing in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from callproof import driver
from callproof.check import program
from callproof.check.conventions import PROFILES
from callproof.check.functions import find_functions
from callproof.check.image import Image
from callproof.check.load import load_images
from callproof.check.program import Summaries
from callproof.check.quick import Quick
from callproof.check.quick_state import Outline, outline_of
from callproof.check.scan import look
from callproof.runtime import runtime_files
from tests.check.assembled import assemble_all
from tests.check.cases import CASES

PROFILE = PROFILES["linux"]
PROGRAM = Path(__file__).parent.parent / "programs" / "bcpl" / "recursion.bcl"
MORE = os.environ.get("CALLPROOF_QUICK_FILES", "").split()  # longer: whole libraries


def differences(image: Image) -> tuple[int, list[str]]:
    """How many functions the quick look passes, and where it is not what the flow says."""
    code = find_functions(image)
    groups = program.components(code)
    quick, summaries = Quick(code, PROFILE), Summaries(code, PROFILE, groups)
    passed, wrong = 0, []
    for group, recursive in groups:
        plain = quick.are_plain(group) if recursive else quick.is_plain(group[0])
        flows = summaries.settle(group) if recursive else {}
        for start in group:
            flow = flows.get(start) or program.run_flow(code, start, summaries, PROFILE)
            look(flow)
            summary = summaries[start] = flow.summary
            if not plain:
                quick.outlines[start] = outline_of(flow.function, summary)
                continue
            passed += 1
            outline: Outline = quick.outlines[start]
            needs = sum(1 << bit for bit in summary.needs_at)
            events = [x for x in flow.events.values() if x.kind != "frame-record"]
            if (
                events
                or flow.unexplored
                or (summary.returns and not outline.returns)
                or summary.changed & ~outline.clobbered
                or summary.changed & ~summary.defined & ~outline.rubbish
                or needs & ~outline.needs
                or summary.lost
                or summary.sp_change != 0
                or set(summary.stack_reads) - outline.stack_reads
                or flow.instructions > outline.instructions  # who never comes back leads nowhere
            ):
                wrong.append(f"{image.name}: {flow.function.name}: {events}")
    return passed, wrong


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Image]:
    folder = tmp_path_factory.mktemp("quick")
    objects = assemble_all({name: text for name, (text, _) in CASES.items()}, folder)
    return [load_images(path.read_bytes(), name)[0][0] for name, path in objects.items()]


def test_small_programs(images: list[Image]) -> None:
    passed = 0
    for image in images:
        count, wrong = differences(image)
        assert not wrong
        passed += count
    assert passed > 30


def test_an_executable_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "recursion"
    driver.build([PROGRAM], path, "exe", driver.Options())
    (image,) = load_images(path.read_bytes(), "recursion")[0]
    passed, wrong = differences(image)
    assert not wrong and passed > 40


def test_the_runtime() -> None:
    path = runtime_files("aarch64-linux").compiler_rt
    passed = functions = 0
    for image in load_images(path.read_bytes(), path.name)[0][::4]:
        count, wrong = differences(image)
        assert not wrong
        passed += count
        functions += len(find_functions(image).functions)
    assert passed > functions / 2


@pytest.mark.skipif(not MORE, reason="CALLPROOF_QUICK_FILES names no files")
@pytest.mark.parametrize("name", MORE)
def test_whole_libraries(name: str) -> None:
    for image in load_images(Path(name).read_bytes(), name)[0]:
        passed, wrong = differences(image)
        assert not wrong and passed


def test_findings_are_the_same_with_and_without(
    images: list[Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    for image in images:
        monkeypatch.setattr(program, "LEAST", 0)
        with_quick = program.check_image(image, PROFILE).findings
        monkeypatch.setattr(program, "LEAST", 1 << 40)
        assert with_quick == program.check_image(image, PROFILE).findings, image.name
