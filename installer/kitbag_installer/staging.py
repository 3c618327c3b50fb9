"""Makes one build ready in the temporary directory: unpacked, rewritten, tested, with receipt.

What comes out is complete: the rename that puts it into place is all that is left to do.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kitbag_bundles import __version__
from kitbag_bundles.errors import KitbagError, file_system_error
from kitbag_bundles.layout import executable, standard_library
from kitbag_installer.commit import remove_tree
from kitbag_installer.payloads import PayloadReader

if TYPE_CHECKING:
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


def stage_build(
    bundle: Bundle,
    build: Build,
    root: Root,
    tree: str,
    options: StagingOptions,
    progress: Progress,
) -> int:
    """Make ``build`` ready at ``tree``, a new path in the root's temporary directory.

    Returns how many files were rewritten. On any error nothing is left at ``tree``; raises what
    its steps raise, and :class:`FileSystemError`.
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
) -> int:
    key = build.key
    home = root.install_path(key)
    with PayloadReader.of(bundle, build, progress) as payload:
        # Everything up to the first member happens while the decompressor runs ahead, and so do
        # the imports: code out of a zip file is compiled each time.
        from kitbag_installer.extraction import extract_build
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
    added = _add_files(key, build.release, tree, known, options)
    added_links = _add_links(key, tree, known)
    smoke_test(key, tree)
    contents = bundle.read(build.contents_member)
    packed = pack_originals(originals)
    receipt = Receipt(
        key=key,
        home=home,
        kitbag=__version__,
        release=build.release,
        flavor=build.flavor,
        bundle={
            "name": bundle.manifest.name,
            "version": bundle.manifest.version,
            "kitbag": bundle.manifest.kitbag,
            "digest": bundle.promised,
        },
        source={
            "member": build.payload.member,
            "sha256": build.payload.sha256,
            "url": build.url,
        },
        contents_sha256=hashlib.sha256(contents).hexdigest(),
        originals_sha256=hashlib.sha256(packed).hexdigest(),
        changed=changed,
        added=added,
        added_links=added_links,
    )
    write_receipt(tree, receipt, contents, packed)
    return len(changed)


def overwrite(path: str, content: bytes) -> None:
    """Give an existing file new content and keep its mode."""
    with open(path, "r+b") as file:
        file.write(content)
        file.truncate()


def _add_files(
    key: BuildKey, release: str, tree: str, known: set[str], options: StagingOptions
) -> dict[str, str]:
    """Write the files by which installers know each other; returns their digests by path.

    ``EXTERNALLY-MANAGED`` is PEP 668's; ``BUILD`` holds the release without a newline, as uv
    writes and reads it.
    """
    wanted = {}
    library = standard_library(key)
    if options.externally_managed and library:
        wanted[f"{library}/EXTERNALLY-MANAGED"] = _EXTERNALLY_MANAGED
    if release:
        wanted["BUILD"] = release
    added = {}
    for path, text in wanted.items():
        if path not in known:
            data = text.encode("utf-8")
            full = os.path.join(tree, path)
            with open(full, "xb") as file:
                file.write(data)
            os.chmod(full, 0o644)
            added[path] = hashlib.sha256(data).hexdigest()
    return added


def _add_links(key: BuildKey, tree: str, known: set[str]) -> dict[str, str]:
    """``bin/python``, where the archive does not bring it and what it means is there."""
    if key.target.os == "windows" or key.implementation == "pyodide":
        return {}
    program = executable(key)
    link = f"{os.path.dirname(program)}/python"
    if program not in known:
        raise KitbagError(f"{key}: the build has no {program}")
    if link in known:
        return {}
    target = os.path.basename(program)
    os.symlink(target, os.path.join(tree, link))
    return {link: target}
