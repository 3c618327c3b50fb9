"""Makes one build ready in the temporary directory: unpacked, rewritten, tested, with receipt.

What comes out is complete but for what is still to be compiled: then the rename that puts it into
place is all that is left to do.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles import __version__
from kitbag_bundles.errors import KitbagError, file_system_error
from kitbag_bundles.implementations import implementation_of
from kitbag_bundles.layout import find_library
from kitbag_installer.bytecode.modes import UNASKED, BytecodeOptions
from kitbag_installer.commit import remove_tree
from kitbag_installer.elsewhere import seen_home
from kitbag_installer.payloads import PayloadReader

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Mapping

    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.keys import BuildKey
    from kitbag_bundles.manifest import Build
    from kitbag_bundles.reporting import Progress
    from kitbag_installer.roots import Root

_EXTERNALLY_MANAGED = """\
[externally-managed]
Error=This Python came out of a kitbag bundle and other programs may rely on it as it is.
 Make a virtual environment with "python -m venv" and install packages there.
"""


@dataclass(frozen=True)
class StagingOptions:
    """What differs between stagings, other than the build itself."""

    externally_managed: bool = True
    seen_as: str = ""
    """The path that the root will have; empty for the one it has."""
    untested: frozenset[BuildKey] = frozenset()
    """Builds that can't run here."""
    bytecode: BytecodeOptions = UNASKED
    jobs: int = 1
    """How many processes will compile."""


class Staged(NamedTuple):
    """What was made, as plain values: they cross from one process to another."""

    changed: list[str]
    """The files that were rewritten."""
    laid: dict[str, str]
    """The compiled files that came with the bundle, by path with their digests."""
    pieces: list[list[str]]
    """The sources that are still to be compiled, in pieces for one process each."""
    notes: list[str]
    """What deserves a warning."""


def stage_build(
    bundle: Bundle,
    build: Build,
    root: Root,
    tree: str,
    options: StagingOptions,
    progress: Progress,
) -> Staged:
    """Make ``build`` ready at ``tree``, a new path in the root's temporary directory.

    What is still to be compiled is left to others, and the receipt knows nothing of it; it knows
    of what was laid. On any error nothing is left at ``tree``; raises what its steps raise, and
    :class:`FileSystemError`.
    """
    try:
        return _stage(bundle, build, root, tree, options, progress)
    except OSError as error:
        remove_tree(tree)
        raise file_system_error(error, root.path) from None
    except BaseException:
        remove_tree(tree)
        raise


def _stage(
    bundle: Bundle,
    build: Build,
    root: Root,
    tree: str,
    options: StagingOptions,
    progress: Progress,
) -> Staged:
    key = build.key
    home = seen_home(root, key, options.seen_as)
    with PayloadReader.of(bundle, build, progress) as payload:
        # Everything up to the first member happens while the decompressor runs ahead, and so do
        # the imports: code out of a zip file is compiled each time.
        from kitbag_installer.extraction import extract_build
        from kitbag_installer.receiptlists import pack_bytecode
        from kitbag_installer.receipts import Receipt, pack_originals, write_receipt
        from kitbag_installer.rewriting import candidates, rewrite_tree
        from kitbag_installer.smoke import smoke_test

        entries = bundle.contents(build)
        pristine = extract_build(payload, entries, tree, candidates(key, entries))
    originals = {}
    changed = {}
    for file in rewrite_tree(key, pristine, home):
        overwrite(os.path.join(tree, file.path), file.content)
        originals[file.path] = file.pristine
        changed[file.path] = hashlib.sha256(file.content).hexdigest()
    # A hard link shares the bytes of the file that was written over.
    for entry in entries:
        if entry.target in changed and entry.kind == "h":
            changed[entry.path] = changed[entry.target]
    known = {entry.path for entry in entries}
    new = {**added_files(key, build.release, known, options), **_copies(key, tree, known)}
    added = _add_files(tree, new)
    links = added_links(key, known)
    for path, target in links.items():
        os.makedirs(os.path.dirname(os.path.join(tree, path)), exist_ok=True)
        os.symlink(target, os.path.join(tree, path))
    if key not in options.untested:
        smoke_test(key, tree)
    notes: list[str] = []
    laid: dict[str, str] = {}
    if build.bytecode is not None and options.bytecode.compile is not False:
        untouched = {entry.path for entry in entries if entry.kind in "fh"} - changed.keys()
        laid = _lay_over(bundle, build, tree, untouched, key not in options.untested, notes)
    pieces = []
    if key not in options.untested and options.bytecode.compile:
        pieces = _to_compile(key, tree, options)
    bytecode = pack_bytecode(laid)
    contents = bundle.read(build.contents_member)
    packed = pack_originals(originals)
    came_from = origin(bundle, build)
    receipt = Receipt(
        key=key,
        home=home,
        kitbag=__version__,
        release=build.release,
        flavor=build.flavor,
        bundle=came_from["bundle"],
        source=came_from["source"],
        contents_sha256=hashlib.sha256(contents).hexdigest(),
        originals_sha256=hashlib.sha256(packed).hexdigest(),
        changed=changed,
        added=added,
        added_links=links,
        bytecode_sha256=hashlib.sha256(bytecode).hexdigest() if bytecode else "",
        foreign=bool(options.seen_as) or key in options.untested,
    )
    write_receipt(tree, receipt, contents, packed, bytecode)
    return Staged(list(changed), laid, pieces, notes)


def _lay_over(
    bundle: Bundle,
    build: Build,
    tree: str,
    sources: Collection[str],
    runs_here: bool,
    notes: list[str],
) -> dict[str, str]:
    """Lay the bundle's bytecode over ``tree``, if it is what the interpreter takes."""
    from kitbag_installer.bytecode.overlay import lay_over, why_not_taken

    promised = build.bytecode
    assert promised is not None
    why_not = why_not_taken(tree, build) if runs_here else ""
    if why_not:
        notes.append(why_not)
        return {}
    return lay_over(tree, build, bundle.read(promised.member), sources)


def _to_compile(key: BuildKey, tree: str, options: StagingOptions) -> list[list[str]]:
    from kitbag_installer.bytecode.sources import python_sources
    from kitbag_installer.bytecode.tasks import is_compiled, split

    if not is_compiled(key, options.bytecode):
        return []
    return split(tree, python_sources(key, tree), options.jobs)


def origin(bundle: Bundle, build: Build) -> dict[str, dict[str, str]]:
    """Where a build comes from, as the receipt has it: ``bundle`` and ``source``."""
    return {
        "bundle": {
            "name": bundle.manifest.name,
            "version": bundle.manifest.version,
            "kitbag": bundle.manifest.kitbag,
            "digest": bundle.promised,
        },
        "source": {
            "member": build.payload.member,
            "sha256": build.payload.sha256,
            "url": build.url,
        },
    }


def overwrite(path: str, content: bytes) -> None:
    """Give an existing file new content and keep its mode."""
    with open(path, "r+b") as file:
        file.write(content)
        file.truncate()


def added_files(
    key: BuildKey, release: str, known: Container[str], options: StagingOptions
) -> dict[str, bytes]:
    """The files by which installers know each other, by path, where the archive has none.

    ``EXTERNALLY-MANAGED`` is PEP 668's; ``BUILD`` holds the release without a newline, as uv
    writes and reads it.
    """
    wanted = {}
    library = find_library(key, known.__contains__)
    if options.externally_managed and library:
        wanted[f"{library}/EXTERNALLY-MANAGED"] = _EXTERNALLY_MANAGED
    if release:
        wanted["BUILD"] = release
    return {path: text.encode("utf-8") for path, text in wanted.items() if path not in known}


def _copies(key: BuildKey, tree: str, known: Container[str]) -> dict[str, bytes]:
    """What is added under another name, by its new path."""
    found = {}
    for path, other in implementation_of(key).copies(key, known).items():
        with open(os.path.join(tree, other), "rb") as file:
            found[path] = file.read()
    return found


def _add_files(tree: str, files: Mapping[str, bytes]) -> dict[str, str]:
    """Write new files; returns their digests by path."""
    for path, data in files.items():
        full = os.path.join(tree, path)
        with open(full, "xb") as file:
            file.write(data)
        os.chmod(full, 0o644)
    return {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}


def added_links(key: BuildKey, known: Container[str]) -> dict[str, str]:
    """The links by which other tools find the interpreter, where what they mean is there."""
    adapter = implementation_of(key)
    program = adapter.executable(key)
    if program not in known and program not in adapter.copies(key, known):
        raise KitbagError(f"{key}: the build has no {program}")
    return adapter.links(key, known)
