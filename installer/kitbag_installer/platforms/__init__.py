"""What differs between operating systems, behind one small interface.

``posix`` and ``windows`` have the same names; one of them is this system's. Nothing here knows of
roots, receipts or builds. ``windows`` was written from Microsoft's documentation and has never run
on Windows; its pure parts are tested everywhere.

=========================  =========================================================================
``try_lock``               take an exclusive lock on an open file, if nobody has it
``exchange``               swap two paths in one step, if the system can
``flush``                  bring what was written to the disk
``make_directory_link``    a minor-version link: a symbolic link, or a junction
``link_text``              where a link or a junction leads; empty for everything else
``command_script``         a program that runs another one: ``/bin/sh``'s, or ``cmd``'s
``command_target``         what such a script runs; empty if it is not one of ours
``kitbag_script``          the ``kitbag`` command
``data_home``              where a person's data goes; empty if nobody knows
``user_home``              a person's own directory; empty if nobody knows
``longest_path``           how long a path may be there, in the system's own units
=========================  =========================================================================
"""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from kitbag_installer.platforms import windows as this_system
else:
    from kitbag_installer.platforms import posix as this_system

MARK = "Made by kitbag, which replaces it as it likes."
"""Stands in a comment of every script that is kitbag's own."""

__all__ = ["MARK", "this_system"]
