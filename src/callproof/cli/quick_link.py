"""`callproof link` with plain words, without the command line's library; as `quick.py`.

Plain are files, and the options of `VALUES` and `FLAGS`, each once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

VALUES = {"-o": "output", "--output": "output", "--entry": "entry", "--target": "target"}
# word -> a field of `LinkOptions` or 'runtime', and what it becomes
FLAGS = {
    "--runtime": ("runtime", True),
    "--no-runtime": ("runtime", False),
    "--gc-sections": ("collect_garbage", True),
    "--no-gc-sections": ("collect_garbage", False),
    "--build-id": ("build_id", True),
    "--eh-frame-hdr": ("eh_frame_hdr", True),
    "--relro": ("relro", True),
}


@dataclass(slots=True)
class Request:
    """What the words ask for: the files, and what the options say."""

    files: list[Path] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    flags: dict[str, bool] = field(default_factory=dict)


def parse(words: Sequence[str]) -> Request | None:
    """The words behind `link`; None if any of them is not plain."""
    request = Request()
    left = iter(words)
    for word in left:
        flag, name = FLAGS.get(word), VALUES.get(word)
        if not word.startswith("-"):
            request.files.append(Path(word))
        elif flag is not None:
            if flag[0] in request.flags:
                return None
            request.flags[flag[0]] = flag[1]
        elif name is None or name in request.values:
            return None
        else:
            value = next(left, "-")
            if value.startswith("-"):
                return None
            request.values[name] = value
    return request if request.files and "output" in request.values else None


def link(request: Request) -> None:
    """Do what was asked for.  Raises as `driver.link_inputs` does."""
    from callproof import driver
    from callproof.cli.output import progress
    from callproof.link import LinkOptions

    values, flags = request.values, dict(request.flags)
    runtime = flags.pop("runtime", True)
    choices = LinkOptions(entry=values.get("entry", "_start"))
    for name, value in flags.items():
        setattr(choices, name, value)
    target = values.get("target", "aarch64-linux")
    options = driver.Options(target=target, progress=progress)
    output = Path(values["output"])
    driver.link_inputs(request.files, output, options, runtime=runtime, choices=choices)
