"""Fills the template: the start of a bundle file, and ``install.sh`` of a folder."""

from __future__ import annotations

import hashlib
import shlex
from importlib import resources
from typing import TYPE_CHECKING

from kitbag_bundles import contents, zipformat
from kitbag_bundles.errors import BundleError
from kitbag_bundles.members import INSTALL_SH, INSTALLER
from kitbag_packer.header.bootstraps import MOST, candidates, parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from kitbag_bundles.manifest import Build, Manifest
    from kitbag_packer.writing import Placed

_NUMBERS = 4
"""How many numbers of a row can grow when members move behind a longer header."""
_ABOUT = {
    "bundle": "made this: a shell script, a ZIP file and a kitbag bundle, all in one file.",
    "folder": "made this: it installs what is in this folder, an unzipped kitbag bundle.",
}
_REMARK = """\
# The script ends with the last line of text. Behind it are the members of the ZIP file; those that
# the script reads begin at multiples of 4096 bytes.
"""


def bundle_header(
    manifest: Manifest, lists: Mapping[str, bytes]
) -> Callable[[tuple[Placed, ...]], bytes]:
    """What :func:`kitbag_packer.writing.write_bundle` takes as ``header``.

    ``lists`` maps the key of each build to the bytes of its contents list. The header is as long
    wherever the members are: it has room for the largest numbers.
    """
    wanted = _wanted(manifest, lists)

    def header(placed: tuple[Placed, ...]) -> bytes:
        from kitbag_packer.writing import lay_out

        digest = next(each.source.sha256 for each in placed if each.source.name == INSTALLER)
        text = _render(manifest, wanted, placed, digest)
        # How long it is must not depend on where the members begin, which depends on that length.
        first = lay_out([each.source for each in placed], 0)
        rows = len(candidates(manifest.builds)) * MOST + 2
        longest = len(_render(manifest, wanted, first, digest)) + rows * _NUMBERS * 10
        length = -(-longest // zipformat.ALIGNMENT) * zipformat.ALIGNMENT
        return text + _padding(length - len(text))

    return header


def folder_script(manifest: Manifest, lists: Mapping[str, bytes], installer: bytes) -> bytes:
    """``install.sh``: the same for a bundle that was unzipped; ``installer`` is ``kitbag.pyz``."""
    digest = hashlib.sha256(installer).hexdigest()
    return _render(manifest, _wanted(manifest, lists), (), digest)


def _wanted(manifest: Manifest, lists: Mapping[str, bytes]) -> dict[str, tuple[str, ...]]:
    """What to unpack of each build that the script may start."""
    return {
        str(build.key): parts(
            build.key, contents.parse(lists[str(build.key)], build.contents_member)
        )
        for builds in candidates(manifest.builds).values()
        for build in builds[:MOST]
    }


def _padding(size: int) -> bytes:
    """Lines of comment, so that even a shell that reads on finds nothing to do."""
    line = b"#" * 99 + b"\n"
    return (line * (size // len(line) + 1))[-size:] if size else b""


def _render(
    manifest: Manifest,
    wanted: Mapping[str, Sequence[str]],
    placed: Sequence[Placed],
    installer: str,
) -> bytes:
    form = "bundle" if placed else "folder"
    template = resources.files("kitbag_packer.header") / "header.sh.in"
    values = {
        "@KITBAG@": manifest.kitbag,
        "@ABOUT@": _ABOUT[form],
        "@FILE@": "FILE" if placed else INSTALL_SH,
        "@REMARK@": _REMARK if placed else "",
        "@FORM@": form,
        "@TABLES@": _tables(manifest, wanted, placed, installer),
    }
    text = template.read_bytes().replace(b"\r\n", b"\n").decode("utf-8")
    head, tables, tail = text.partition("@TABLES@")
    for name, value in values.items():
        head = head.replace(name, value)
    data = f"{head}{values[tables]}{tail}".encode()
    if b"\0" in data:
        raise BundleError("a shell script can't hold a NUL byte")
    return data


def _tables(
    manifest: Manifest,
    wanted: Mapping[str, Sequence[str]],
    placed: Sequence[Placed],
    installer: str,
) -> str:
    places = {each.source.name: each for each in placed}
    targets = candidates(manifest.builds)
    constants = {
        # Empty where there are packages alone.
        "targets": ", ".join(targets) or ("" if manifest.environments else "nothing"),
        "starters": ", ".join(target for target, builds in targets.items() if builds),
        **_measures(manifest, placed),
        "help_text": _help(),
    }
    lines = ["# shellcheck disable=SC2016,SC2034  # words for people; some are for one form alone"]
    lines += ["{", *(f"{name}={shlex.quote(value)}" for name, value in constants.items()), "}"]
    lines += ["", "# SHA-256 of kitbag.pyz, and where it is", "installer() {"]
    lines += [f'    read_member {_place(INSTALLER, places)} >"$scratch/kitbag.pyz"']
    lines += [f"    check {INSTALLER} {installer} \\"]
    lines += ['        "$(digest <"$scratch/kitbag.pyz")"', "}", ""]
    lines += ["# builds that can start kitbag: TARGET KEY LOADER MEMBER BLOCK BLOCKS TAIL SHA256"]
    lines += ["# TOP PROGRAM [PART...]; without a part all of the member is unpacked"]
    lines += ["candidates() {"]
    for builds in targets.values():
        for build in builds[:MOST]:
            lines += _row(build, wanted[str(build.key)], places)
    lines += ["    :", "}", "", "# all builds and environments, as 'show' tells of them"]
    lines += ["builds() {"]
    for target, heading, known in _contents(manifest):
        about = "\n".join([heading, *(f"  {label:<10}{text}" for label, text in known)])
        lines.append(f"    build {shlex.quote(target)} {shlex.quote(about)}")
    lines += ["    :", "}", ""]
    return "\n".join(lines)


def _row(build: Build, wanted: Sequence[str], places: Mapping[str, Placed]) -> list[str]:
    payload = build.payload
    words = [
        f"candidate {build.key.target} {build.key}",
        shlex.quote(build.needs.interpreter or "none"),
        f"{_place(payload.member, places)} {payload.sha256}",
        shlex.quote(payload.top),
        *map(shlex.quote, wanted),
    ]
    lines, line = [], "   "
    for word in words:
        if len(line) + len(word) > 96:
            lines.append(f"{line} \\")
            line = "       "
        line += f" {word}"
    return [*lines, line]


def _place(name: str, places: Mapping[str, Placed]) -> str:
    """A member as the script's functions want it: its name and three numbers."""
    if name not in places:
        return f"{shlex.quote(name)} 0 0 0"
    place = places[name]
    return f"{shlex.quote(name)} {place.block} {place.blocks} {place.tail}"


def _measures(manifest: Manifest, placed: Sequence[Placed]) -> dict[str, str]:
    """How large the file is, in blocks, and the lines that tell of it."""
    from kitbag_installer.cli.show import counted, title
    from kitbag_installer.cli.terminal import human_size

    if not placed:
        none = dict.fromkeys(("covered_blocks", "covered_tail", "all_blocks"), "0")
        return {**none, "title": title(manifest, 0), "sound": ""}
    directory = sum(len(zipformat.central_header(each.record)) for each in placed)
    end = zipformat.end_records(len(placed), placed[-1].end, directory, zipformat.COMMENT_SIZE)
    covered = placed[-1].end + directory + len(end)
    size = covered + zipformat.COMMENT_SIZE
    return {
        "covered_blocks": str(covered // zipformat.ALIGNMENT),
        "covered_tail": str(covered % zipformat.ALIGNMENT),
        "all_blocks": str(-(-size // zipformat.ALIGNMENT)),
        "title": title(manifest, size),
        "sound": f"{len(placed)} members, {human_size(size)}, {counted(manifest)}",
    }


def _contents(manifest: Manifest) -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
    """What a bundle holds, each with its target, its heading and what there is to tell."""
    from kitbag_installer.cli.show import environment_facts, facts

    for build in manifest.builds:
        yield str(build.key.target), str(build.key), facts(build)
    for each in manifest.environments:
        yield each.target, f"environment {each.name}", environment_facts(manifest, each)


def _help() -> str:
    from kitbag_installer.cli import VERBS

    width = max(map(len, VERBS)) + 2
    verbs = "\n".join(f"  {verb:<{width}}{summary}" for verb, (_, summary) in VERBS.items())
    return f"""\
Installs what this bundle holds and fits this host; needs no Python and no network.

commands, of which install is the default:
{verbs}

options of all that work in a root:
  --root DIR     the directory that holds installed builds (KITBAG_ROOT; otherwise
                 $XDG_DATA_HOME/kitbag/python, that is ~/.local/share/kitbag/python)
  -h, --help     show this, or with a command that command's help
  -V, --version  show kitbag's version

exit status: 0 done, 1 failed, 2 usage, 3 integrity, 4 nothing matched,
  5 the target does not fit, 130 interrupted"""
