"""Runs kitbag for a bundle's shell header, with an interpreter that is unpacked in the root.

The header makes ``<root>/.temp/kitbag-boot-<pid>-<number>``, unpacks an interpreter and
``kitbag.pyz`` there, and turns into that interpreter. So nobody else is left to remove the folder:
that is done here, when all else is over. A FIFO in it, ``alive``, is held open by the header and
then by this process and its children. That shows others that the folder is in use, whichever
container or user they are, and it ends with the last of these processes however they end.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

BOOT_PREFIX = "kitbag-boot-"
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_ALIVE = 9
"""The number that the header opens the FIFO with."""


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns its exit status.

    ``arguments`` are the bundle, the scratch folder, the folder that was there before the header
    made the root, and what the person wrote.
    """
    bundle, scratch, base, *rest = arguments
    sys.argv = [bundle, *rest]
    noted = False
    try:
        _end_on_signals()
        noted = _note(scratch, base)
        from kitbag_installer import handover
        from kitbag_installer.cli import main as run

        handover.duties.append(lambda: _leave(scratch, base, noted=noted))

        return run(rest, bundle=bundle)
    except KeyboardInterrupt:
        sys.stderr.write("kitbag: error: interrupted; nothing is left half done\n")
        return 130
    finally:
        _remove(scratch, base, noted=noted)


def _leave(scratch: str, base: str, *, noted: bool) -> None:
    """Before this process becomes a program that has nothing to do with the folder."""
    _remove(scratch, base, noted=noted)
    with contextlib.suppress(OSError):
        os.set_inheritable(_ALIVE, False)


def is_running(scratch: str) -> bool:
    """Whether somebody holds a scratch folder of a header open.

    Where no FIFO could be made, whether there is a process of the number in the folder's name.
    Windows has neither, but does not let a folder be moved out of which a program runs.
    """
    if not hasattr(os, "mkfifo"):
        return False
    try:
        handle = os.open(os.path.join(scratch, "alive"), os.O_WRONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return _is_process(os.path.basename(scratch)[len(BOOT_PREFIX) :].partition("-")[0])
    except OSError as error:
        # Nobody reads from it, or another user's folder, which is not ours to judge.
        return error.errno != errno.ENXIO
    os.close(handle)
    return True


def _is_process(number: str) -> bool:
    try:
        os.kill(int(number), 0)
    except (ValueError, OverflowError, ProcessLookupError):
        return False
    except OSError:
        return True
    return int(number) > 0


def _end_on_signals() -> None:
    """Before the command line sees to it, a signal shall not keep the folder from being removed."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    for name in _SIGNALS[1:]:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


def _note(scratch: str, base: str) -> bool:
    """Let the root know which of its folders the header made; whether it did not know already."""
    from kitbag_installer.footprint import note_header
    from kitbag_installer.roots import Root

    return note_header(Root(os.path.dirname(os.path.dirname(scratch))), base)


def _remove(scratch: str, base: str, *, noted: bool) -> None:
    """Remove the folder, and those that were made for it and are empty again."""
    import shutil

    from kitbag_installer import footprint
    from kitbag_installer.roots import Root

    root = Root(os.path.dirname(os.path.dirname(scratch)))
    leaving = footprint.is_on_its_way_out(root)
    if leaving:
        # From the folder that is removed here.
        from kitbag_installer import removal
        from kitbag_installer.aliases import as_known

        known = as_known(root)
    for name in _SIGNALS:
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, signal.SIG_IGN)
    shutil.rmtree(scratch, ignore_errors=True)
    place = os.path.dirname(scratch)
    if os.path.exists(root.lock_file):
        # Others may rely on the folders from now on; but an uninstall had to leave this one.
        if leaving:
            removal.finish_leaving(known)
        return
    if noted:
        footprint.forget_header(root)
    try:
        while len(place) > len(base):
            os.rmdir(place)
            place = os.path.dirname(place)
    except OSError:
        pass
