"""Build hook: compile the C runtime, and the hot modules, into the wheel.

Not into an editable install.  With CALLPROOF_MYPYC=0, and where the modules cannot be compiled
(no mypyc, no C compiler, something that mypyc refuses), the wheel is of Python only; the
second is said.  CALLPROOF_MYPYC_WORK names a folder to keep between builds: the next one compiles
what has changed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TARGETS = ("aarch64-linux", "x86_64-linux")


class RuntimeHook(BuildHookInterface[Any]):  # type: ignore[misc]  # not installed everywhere
    """Puts `callproof/runtime/lib/TARGET/` into the wheel: our runtime and musl's files."""

    folder: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable" or self.target_name != "wheel":
            return
        sys.path.insert(0, str(Path(self.root) / "src"))
        from callproof.runtime.build import build_gnu_runtime, build_runtime
        from callproof.runtime.build_macos import build_macos_runtime

        # The builder reads the files after this returns; they go in `finalize`.
        self.folder = tempfile.TemporaryDirectory(prefix="callproof-runtime-")
        flavours = (("", build_runtime), ("-gnu", build_gnu_runtime))
        wanted = [(target, *flavour) for target in TARGETS for flavour in flavours]
        wanted.append(("aarch64-macos", "", build_macos_runtime))
        for target, suffix, build in wanted:
            place = Path(self.folder.name) / (target + suffix)
            place.mkdir()
            build(target, place, self.app.display_info)
            for path in sorted(place.iterdir()):
                inside = f"callproof/runtime/lib/{place.name}/{path.name}"
                build_data["force_include"][str(path)] = inside

        self.compile_modules(Path(self.folder.name) / "modules", build_data)

    def compile_modules(self, out: Path, build_data: dict[str, Any]) -> None:
        """Put what `compile_modules.py` makes into the wheel, which is then this machine's."""
        if os.environ.get("CALLPROOF_MYPYC") == "0":
            return
        # A process of its own: mypyc ends the one it runs in where it refuses.
        words = [sys.executable, str(Path(self.root) / "compile_modules.py"), str(out)]
        kept = os.environ.get("CALLPROOF_MYPYC_WORK")
        if kept:
            words += ["--work", kept]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()
            self.app.display_warning(f"a wheel of Python only; mypyc: {reason[-1]}")
            return
        for path in sorted(out.rglob("*")):
            if path.is_file():
                build_data["force_include"][str(path)] = path.relative_to(out).as_posix()
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        self.app.display_info(done.stdout.strip().splitlines()[-1])

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if self.folder is not None:
            self.folder.cleanup()
