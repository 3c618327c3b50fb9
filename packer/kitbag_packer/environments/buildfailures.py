"""Why a wheel was not built: one line of what a backend said, and all of it in a file."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile

from kitbag_packer.environments.uvtool import condensed

_LONGEST = 300
_VERDICT = re.compile(r"error: (?:Failed to|.* build)|ERROR: |\[end of output\]")
"""Where uv or pip begins to sum up."""
_OF_COMPILERS = re.compile(r":\d+: (?:fatal )?error:|: fatal error|\bLNK\d+:|undefined reference")
_OF_TOOLS = re.compile(
    r"(?:fatal )?error\b.*|[\w.]+(?:Error|Exception|Exit)(?:: .*)?", re.IGNORECASE
)
_NOISE = re.compile(r"Building wheel\.\.\.|error: subprocess-exited-with-error")


def reason_of(out: str) -> str:
    """The line of a build's output that tells most, at most some 300 characters.

    Of compilers it is the first error, since the others follow from it; of anything else the last.
    Empty where nothing was said.
    """
    lines = [line.strip() for line in out.splitlines()]
    lines = [line for line in lines if line and not _NOISE.fullmatch(line)]
    end = next((n for n, line in enumerate(lines) if _VERDICT.match(line)), len(lines))
    before = lines[:end]
    compilers = [line for line in before if _OF_COMPILERS.search(line)]
    tools = [line for line in before if _OF_TOOLS.fullmatch(line)]
    if compilers:
        found = compilers[0]
    elif tools or before:
        found = (tools or before)[-1]
    else:
        found = condensed(out)
    found = " ".join("".join(c if c.isprintable() else " " for c in found).split())
    return found if len(found) <= _LONGEST else f"{found[: _LONGEST - 1]}…"


def keep_output(out: str, name: str) -> str:
    """Write all of a build's output to a new file that only its owner reads.

    Its path comes back, empty where it can't be written.
    """
    with contextlib.suppress(OSError):
        handle, path = tempfile.mkstemp(prefix=f"kitbag-build-{name}-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(out)
        return path
    return ""
