"""What was done and what was checked, as plain tables for JSON."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

from kitbag_bundles import __version__
from kitbag_bundles.errors import KitbagError, file_system_error
from kitbag_installer.preflight.actions import DONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.environments import Wheel
    from kitbag_installer.bytecode.compiling import Compiled
    from kitbag_installer.bytecode.inplace import CompiledBuild
    from kitbag_installer.environments.inplace import CompiledEnvironment
    from kitbag_installer.environments.installing import EnvironmentResult
    from kitbag_installer.installation import BuildResult, InstallResult
    from kitbag_installer.roots import Root


def build_table(result: BuildResult) -> dict[str, Any]:
    """One build of an install."""
    build = result.build
    table: dict[str, Any] = {
        "key": str(build.key),
        "action": result.action,
        "path": result.path,
        "release": build.release,
        "flavor": build.flavor,
        "files": build.files,
        "size": build.unpacked_size,
        "rewritten": result.rewritten,
        "for": result.elsewhere.partition(" ")[2],
    }
    if result.action == "upgraded":
        table["old-release"] = result.old_release
    if result.bytecode is not None:
        table["bytecode"] = bytecode_table(result.bytecode)
    if result.error is not None:
        table["error"] = result.error.table()
    return table


def environment_table(result: EnvironmentResult) -> dict[str, Any]:
    """One environment of an install."""
    environment = result.environment
    table: dict[str, Any] = {
        "name": environment.name,
        "action": result.action,
        "path": result.path,
        "python": str(environment.python),
        "expose": list(environment.expose),
        "run": environment.run,
        "wheels": wheel_tables(result.wheels),
    }
    if result.bytecode is not None:
        table["bytecode"] = bytecode_table(result.bytecode)
    if result.error is not None:
        table["error"] = result.error.table()
    return table


def wheel_tables(wheels: Sequence[Wheel]) -> list[dict[str, str]]:
    """The wheels of an environment."""
    return [
        {
            "filename": wheel.filename,
            "name": wheel.name,
            "version": wheel.version,
            "sha256": wheel.sha256,
        }
        for wheel in wheels
    ]


def bytecode_table(done: Compiled) -> dict[str, Any]:
    """What was compiled of one build."""
    # They come in as many pieces as there were processes.
    failures = dict(sorted(done.failures.items()))
    return {"compiled": done.compiled, "fresh": done.fresh, "failures": failures}


def compile_report(
    root: Root, builds: Sequence[CompiledBuild], environments: Sequence[CompiledEnvironment]
) -> dict[str, Any]:
    """What ``kitbag compile`` did."""
    return {
        "root": root.path,
        "builds": [{"key": str(each.key), **_compiled_table(each)} for each in builds],
        "environments": [{"name": each.name, **_compiled_table(each)} for each in environments],
    }


def _compiled_table(done: CompiledBuild | CompiledEnvironment) -> dict[str, Any]:
    table: dict[str, Any] = {"path": done.path}
    if isinstance(done.result, KitbagError):
        table["error"] = done.result.table()
    else:
        table["bytecode"] = bytecode_table(done.result)
    return table


def install_report(bundle: Bundle, done: InstallResult) -> dict[str, Any]:
    """Every digest that an install checked: the bundle's own members, archives, each file."""
    sums = bundle.digests
    builds = []
    members = {"manifest.toml": sums["manifest.toml"], "kitbag.pyz": sums["kitbag.pyz"]}
    for result in done.builds:
        build = result.build
        table = build_table(result)
        if result.action in DONE.values():
            members[build.contents_member] = sums[build.contents_member]
            members[build.payload.member] = build.payload.sha256
            table["archive"] = {
                "member": build.payload.member,
                "sha256": build.payload.sha256,
                "size": build.payload.size,
                "url": build.url,
            }
            table["rewritten-files"] = dict(sorted(_rewritten(result.path).items()))
            table["checked"] = {
                entry.path: entry.digest for entry in bundle.contents(build) if entry.kind == "f"
            }
        builds.append(table)
    environments = []
    for each in done.environments:
        table = environment_table(each)
        if each.action not in ("present", "failed"):
            members.update((wheel.member, wheel.sha256) for wheel in each.wheels)
            table["checked"] = _installed(each.path)
        environments.append(table)
    return {
        "report": "kitbag install",
        "kitbag": __version__,
        "bundle": {
            "name": bundle.manifest.name,
            "version": bundle.manifest.version,
            "kitbag": bundle.manifest.kitbag,
            "digest": bundle.promised,
        },
        "root": done.root.path,
        "members": dict(sorted(members.items())),
        "builds": builds,
        "environments": environments,
    }


def _installed(tree: str) -> dict[str, str]:
    """The digests of all files of an environment, as they are now."""
    from kitbag_installer.environments.receipts import read_contents, read_receipt

    entries = read_contents(tree, read_receipt(tree))
    return {entry.path: entry.digest for entry in entries if entry.kind == "f"}


def _rewritten(tree: str) -> dict[str, str]:
    """The digests of the files that are not as the archive has them."""
    from kitbag_installer.receipts import read_receipt

    receipt = read_receipt(tree)
    return {**receipt.changed, **receipt.added}


def write_report(path: str, report: dict[str, Any]) -> None:
    """Write ``report`` to ``path`` in one step; raises :class:`FileSystemError`."""
    scratch = f"{path}.partial"
    try:
        with open(scratch, "w", encoding="ascii") as file:
            json.dump(report, file, indent=1)
            file.write("\n")
        os.replace(scratch, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(scratch)
        raise file_system_error(error, path) from None
