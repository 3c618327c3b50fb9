"""The checks of a root and of what surrounds it: the disk, the links, PATH, kitbag itself."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from kitbag_bundles.implementations import implementation_of
from kitbag_bundles.layout import command_names, executable
from kitbag_installer import launcher, links
from kitbag_installer.doctor.findings import Finding, advice, fault, ok
from kitbag_installer.elsewhere import whose
from kitbag_installer.environments.places import environment_path
from kitbag_installer.environments.subjects import present_environments
from kitbag_installer.path_advice import is_on_path, is_same, path_command, shell_at_hand
from kitbag_installer.pins import read_pins
from kitbag_installer.platforms import this_system
from kitbag_installer.receipts import has_receipt
from kitbag_installer.rewriting.prefix import shell_quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kitbag_bundles.keys import BuildKey
    from kitbag_installer.hosts import Host
    from kitbag_installer.roots import Root

_LITTLE = 64 * 1024 * 1024
_VARIABLES = {
    "LD_LIBRARY_PATH": "other libraries may be loaded in place of a build's own",
    "DYLD_LIBRARY_PATH": "other libraries may be loaded in place of a build's own",
    "LD_PRELOAD": "a library is loaded into every program",
    "PYTHONHOME": "every Python looks for its library there, and most find the wrong one",
    "PYTHONPATH": "every Python imports from there first, whatever its version",
}


def check_root(
    root: Root, host: Host, environ: Mapping[str, str], keys: Sequence[BuildKey]
) -> list[Finding]:
    """Everything about ``root``, in which ``keys`` are installed; raises :class:`OSError`."""
    bin_dirs = [path for path in links.remembered_bin_dirs(root) if os.path.isdir(path)]
    here = [key for key in keys if not whose(root, key, host)]
    wanted = links.minor_links(root)
    return [
        *_disk(root),
        _permissions(root, keys, bin_dirs),
        _leftovers(root),
        *_kitbag(root, keys, bin_dirs),
        *_minor_links(root, wanted),
        *_dangling(root, wanted),
        *_bin_names(root, here, bin_dirs),
        *_path(bin_dirs, environ),
        *_shadowed(root, here, bin_dirs, environ),
        *_variables(environ),
    ]


def _disk(root: Root) -> list[Finding]:
    from kitbag_installer.preflight.places import place_of

    place = place_of(root.path)
    found = [ok("noexec", "programs may run there")]
    if place.no_exec:
        message = f"{root.path} is on a file system that is mounted noexec: nothing there can run"
        found = [fault("noexec", message, "mount it anew without noexec, or use another root")]
    if place.free is not None and place.free < _LITTLE and not place.read_only:
        message = f"{place.free // 1_000_000} MB are free on the file system of {root.path}"
        return [*found, advice("space", message, "free some: bytecode and packages need it")]
    return [*found, ok("space", "there is room")]


def _permissions(root: Root, keys: Sequence[BuildKey], bin_dirs: Sequence[str]) -> Finding:
    check = "permissions"
    if os.name == "nt":
        return ok(check, "not looked at on Windows")
    folders = [root.path, root.own, *bin_dirs]
    for key in keys:
        place = root.install_path(key)
        folders += [place, os.path.join(place, os.path.dirname(executable(key)))]
    open_ones = [folder.rstrip("/") for folder in folders if _anyone_may_write(folder)]
    if not open_ones:
        return ok(check, "others may not change what runs from here")
    more = f" and {len(open_ones) - 1} more" if len(open_ones) > 1 else ""
    return advice(
        check,
        f"everybody may write in {open_ones[0]}{more}, and so change what you run",
        f"chmod o-w {' '.join(map(shell_quoted, open_ones[:3]))}",
    )


def _anyone_may_write(folder: str) -> bool:
    try:
        return bool(os.stat(folder).st_mode & stat.S_IWOTH)
    except OSError:
        return False


def _leftovers(root: Root) -> Finding:
    from kitbag_installer.preflight.leftovers import leftovers

    size, inodes = leftovers(root)
    if not inodes:
        return ok("leftovers", "none")
    if _is_busy(root):
        return ok("leftovers", "another process is at work here")
    return advice(
        "leftovers",
        f"an interrupted run left {inodes} files, {size // 1_000_000} MB, in {root.temp}",
        f"the next install sweeps them; at once: kitbag relocate --root {shell_quoted(root.path)}",
    )


def _is_busy(root: Root) -> bool:
    """Whether somebody holds the root's lock; ``False`` where this can't be told."""
    try:
        handle = os.open(root.lock_file, os.O_RDWR)
    except OSError:
        return False
    try:
        return not this_system.try_lock(handle)
    except OSError:
        return False
    finally:
        os.close(handle)


def _kitbag(root: Root, keys: Sequence[BuildKey], bin_dirs: Sequence[str]) -> list[Finding]:
    check, path = "kitbag", os.path.join(root.own, launcher.PYZ)
    again = "install any bundle there again"
    if not any(has_receipt(root.install_path(key)) for key in keys):
        return [ok(check, "nothing here was installed by kitbag")]
    if not os.path.lexists(path):
        return [fault(check, f"{path} is missing: the kitbag command can't work", again)]
    problem = _damage(path)
    if problem:
        return [fault(check, f"{path} is damaged ({problem})", f"remove it, and {again}")]
    found = []
    for folder in bin_dirs:
        command = os.path.join(folder, launcher.COMMAND)
        if not os.path.lexists(command):
            found.append(advice(check, f"there is no kitbag command in {folder}", again))
        elif not launcher.is_command_of(root, command):
            message = f"{command} is another program, or runs another root's kitbag"
            found.append(advice(check, message, f"{again}, with --force to replace it"))
        elif not os.access(command, os.X_OK):
            found.append(
                fault(check, f"{command} can't be executed", f"chmod +x {shell_quoted(command)}")
            )
    return found or [ok(check, "is there")]


def _damage(path: str) -> str:
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
            return f"{bad} differs" if bad else ""
    except Exception as error:  # noqa: BLE001  # on a damaged file zipfile raises anything
        return str(error) or type(error).__name__


def _minor_links(root: Root, wanted: Mapping[str, str]) -> list[Finding]:
    check = "minor-link"
    cure = f"kitbag relocate --root {shell_quoted(root.path)}"
    pins = read_pins(root)
    found = []
    for link, target in wanted.items():
        name = os.path.basename(link)
        present = this_system.link_text(link)
        if present == target:
            pin = pins.get(name)
            held = f", held there by a rollback from {pin.newest}" if pin else ""
            found.append(ok(check, f"{name} leads to {os.path.basename(target)}{held}"))
        elif not os.path.lexists(link):
            found.append(fault(check, f"{link} is missing", cure))
        elif not present:
            message = f"{link} is no link; environments made through it do not follow upgrades"
            found.append(fault(check, message, f"move it away, then {cure}"))
        else:
            message = f"{link} leads to {present} and not to {os.path.basename(target)}"
            found.append(fault(check, message, cure))
    return found or [ok(check, "there are no builds that have one")]


def _dangling(root: Root, wanted: Mapping[str, str]) -> list[Finding]:
    check = "dangling-link"
    inside = root.path + os.sep
    with os.scandir(root.path) as entries:
        paths = sorted(entry.path for entry in entries)
    links_there = [(path, this_system.link_text(path)) for path in paths if path not in wanted]
    # What leads through a minor-version link is right as soon as that is.
    through = tuple(link + os.sep for link in wanted)
    # And what leads into an environment is told of that one.
    through += tuple(environment_path(root, name) + os.sep for name in present_environments(root))
    named = [
        (path, text)
        for path, text in links.bin_links(root)
        if text.startswith(inside) and not text.startswith(through)
    ]
    found = [
        fault(check, f"{path} leads to {text}, which is not there", f"rm {shell_quoted(path)}")
        for path, text in [*links_there, *named]
        if text and not os.path.exists(os.path.join(os.path.dirname(path), text))
    ]
    return found or [ok(check, "none")]


def _first_names(root: Root, keys: Sequence[BuildKey]) -> dict[str, BuildKey]:
    """The names that should lead to builds: of several patches, to the one in use."""
    names = {}
    for key in sorted(keys, key=lambda key: key.order()):
        if implementation_of(key).has_minor_link:
            link = this_system.link_text(root.minor_link(key))
            if link and link != root.install_path(key):
                continue
        for name in command_names(key, default=False):
            names[name + this_system.COMMAND_SUFFIX] = key
    return names


def _bin_names(root: Root, keys: Sequence[BuildKey], bin_dirs: Sequence[str]) -> list[Finding]:
    check = "bin-names"
    if not bin_dirs:
        return [ok(check, "no names were made")]
    places = dict(links.bin_links(root))
    again = "install the build again; --force replaces what is not kitbag's"
    found = []
    for name, key in _first_names(root, keys).items():
        program = os.path.join(root.install_path(key), executable(key))
        for folder in bin_dirs:
            path = os.path.join(folder, name)
            target = places.get(path, "")
            if not os.path.lexists(path):
                found.append(advice(check, f"{path} is missing", again))
            elif not target:
                found.append(advice(check, f"{path} is another program", again))
            elif os.path.exists(target) and not os.path.samefile(target, program):
                message = f"{path} leads to {target} and not to {key}"
                found.append(advice(check, message, again))
    return found or [ok(check, "lead to the builds")]


def _path(bin_dirs: Sequence[str], environ: Mapping[str, str]) -> list[Finding]:
    check = "path"
    if not bin_dirs:
        return [ok(check, "no names were made")]
    shell = shell_at_hand(environ)
    found = [
        advice(check, f"{folder} is not on PATH", path_command(folder, shell))
        for folder in bin_dirs
        if not is_on_path(folder, environ)
    ]
    return found or [ok(check, "has the bin directory")]


def _shadowed(
    root: Root, keys: Sequence[BuildKey], bin_dirs: Sequence[str], environ: Mapping[str, str]
) -> list[Finding]:
    import shutil

    check = "shadowed"
    if not bin_dirs:
        return [ok(check, "no names were made")]
    if any(finding.cure for finding in _path(bin_dirs, environ)):
        return [ok(check, "not looked at: the bin directory is not on PATH")]
    found = []
    for name, key in _first_names(root, keys).items():
        places = [os.path.join(folder, name) for folder in bin_dirs]
        if not any(map(os.path.exists, places)):
            continue
        first = shutil.which(name, path=environ.get("PATH", ""))
        if first and not any(is_same(first, place) for place in places):
            folder = os.path.dirname(places[0])
            message = f"{name} means {first} here, and not {key}"
            cure = f"put {folder} first: {path_command(folder, shell_at_hand(environ))}"
            found.append(advice(check, message, cure))
    return found or [ok(check, "no other Python comes first")]


def _variables(environ: Mapping[str, str]) -> list[Finding]:
    found = [
        advice("variables", f"{name} is set: {why}", f"unset {name}")
        for name, why in _VARIABLES.items()
        if environ.get(name)
    ]
    return found or [ok("variables", "none")]


def names_leading_to(root: Root, key: BuildKey) -> list[str]:
    """The other paths that lead to the interpreter of a build, the one that people use last."""
    program = os.path.join(root.install_path(key), executable(key))
    names = []
    link = root.minor_link(key)
    if this_system.link_text(link) == root.install_path(key):
        names.append(os.path.join(link, executable(key)))
    wanted = {name + this_system.COMMAND_SUFFIX for name in command_names(key, default=False)}
    for path, target in links.bin_links(root):
        if os.path.basename(path) in wanted and is_same(target, program):
            names.append(path)
    return names
