"""Makes session.svg, the picture of a terminal: runs the commands for real and draws what they say.

    python docs/assets/make_session.py

kitbag has to be on PATH, and a CPython 3.13 with a prefix of its own on the machine: it stands for
the build that is fetched, from a mirror in the scratch folder. The picture refers to nothing
outside of itself: its font is whatever monospaced one is at hand. The scratch folder that plays
both machines is shown as ``/home/you``.
"""
# ruff: noqa: INP001  # a script, beside what it makes

from __future__ import annotations

import hashlib
import html
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from support.interpreters import packable_interpreters
from support.mirror import make_mirror
from support.pbs import make_pbs_archive

COLUMNS = 96
FONT, LINE, CELL, MARGIN, BAR = 14, 19, 8.43, 16, 34
COLORS = {"31": "#ff7b72", "32": "#7ee787", "33": "#e3b341", "1": "#ffffff"}
SESSION = (
    ("connected", "kitbag pack 3.13 -o tools.kitbag"),
    ("target", "sha256sum -c note-from-the-release"),
    ("target", "sh tools.kitbag show"),
    ("target", "sh tools.kitbag"),
    ("target", 'python3.13 -c \'import sys; print("Python", sys.version[:6], "in", sys.prefix)\''),
    ("target", "kitbag verify --root ~/.local/share/kitbag/python"),
)
STYLE = """\
text { font: %(font)spx ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  fill: #c9d1d9; white-space: pre }
.prompt { fill: #79c0ff } .command { fill: #ffffff; font-weight: 600 } .title { fill: #8b949e }"""


def run(command: str, environment: dict[str, str], folder: Path) -> str:
    """What ``command`` writes to a terminal; raises if it fails."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    pieces = []
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # Linux: nobody holds the other end any more
            break
        pieces.append(data)
    os.close(ours)
    text = b"".join(pieces).decode("utf-8")
    if process.wait():
        raise SystemExit(f"{command}\n{text}")
    # A progress bar is drawn and taken away again.
    return re.sub(r"\r(?!\n)[^\r\n\x1b]*\x1b\[K", "", text).replace("\r\n", "\n").rstrip("\n")


def record() -> list[str]:
    """The lines of the session, as fragments of SVG text."""
    found = [each for each in packable_interpreters((3, 13)) if each.minor == "3.13"]
    if not found or shutil.which("kitbag") is None:
        raise SystemExit("kitbag has to be on PATH, and a CPython 3.13 on the machine")
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch, "you")
        home.mkdir()
        mirror = make_mirror(Path(scratch, "mirror"), extra=[make_pbs_archive(found[0])])
        bundle = home / "tools.kitbag"
        environment = {
            "HOME": str(home),
            "FORCE_COLOR": "1",
            "TERM": "xterm",
            "LC_ALL": "C.UTF-8",
            "KITBAG_CATALOG": str(mirror.list),
            "KITBAG_MIRROR": mirror.folder.as_uri(),
        }
        for prompt, command in SESSION:
            if "note-from" in command:
                note = f"{hashlib.sha256(bundle.read_bytes()).hexdigest()}  {bundle.name}\n"
                Path(home, "note-from-the-release").write_text(note, "ascii")
            # What is installed on the target comes first there.
            path = f"{home}/.local/bin:{os.environ['PATH']}"
            output = run(command, {**environment, "PATH": path}, home)
            if lines:
                lines.append("")
            lines.append(
                f'<tspan class="prompt">{prompt} $</tspan> '
                f'<tspan class="command">{html.escape(command, quote=False)}</tspan>'
            )
            for line in output.replace(str(home), "/home/you").split("\n"):
                lines += [colored(part) for part in wrapped(line)]
    return lines


def wrapped(line: str) -> list[str]:
    """``line`` in pieces as wide as the terminal; lines with colours are short."""
    if "\x1b" in line or len(line) <= COLUMNS:
        return [line]
    return [line[start : start + COLUMNS] for start in range(0, len(line), COLUMNS)]


def colored(line: str) -> str:
    """One line of SVG text, the colours of the terminal in ``tspan``."""
    parts = re.split(r"\x1b\[(\d*)m", line)
    text = html.escape(parts[0], quote=False)
    for code, part in zip(parts[1::2], parts[2::2], strict=True):
        color = COLORS.get(code)
        escaped = html.escape(part, quote=False)
        text += f'<tspan fill="{color}">{escaped}</tspan>' if color and part else escaped
    return text


def draw(lines: list[str]) -> str:
    """The picture."""
    width = round(COLUMNS * CELL + 2 * MARGIN)
    height = BAR + len(lines) * LINE + MARGIN
    rows = [
        f'<text x="{MARGIN}" y="{BAR + FONT + number * LINE}" xml:space="preserve">{line}</text>'
        for number, line in enumerate(lines)
        if line
    ]
    dots = [
        f'<circle cx="{MARGIN + 6 + number * 20}" cy="17" r="6" fill="{color}"/>'
        for number, color in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    ]
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        "<title>A Python crosses the gap</title>",
        f"<style>{STYLE % {'font': FONT}}</style>",
        f'<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>',
        *dots,
        f'<text class="title" x="{width / 2}" y="22" text-anchor="middle">kitbag</text>',
        *rows,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def main() -> None:
    """Make the picture beside this file."""
    Path(__file__).with_name("session.svg").write_text(draw(record()), "utf-8")


if __name__ == "__main__":
    main()
