"""Write a bundle in another form: one file, a directory, or a .7z.

The bundle itself stays what it is, and so does its digest. A .7z holds it as its one member, stored
or, with --encrypt, encrypted by AES-256 with its name; 7-Zip opens both. All commands read a stored
one as it is; an encrypted or compressed one is converted back first. The bytes are checked on the
way and read back.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from kitbag_bundles.errors import UsageError
from kitbag_installer.cli.options import add_output
from kitbag_packer.cli.passwords import add_password

if TYPE_CHECKING:
    import argparse

    from kitbag_bundles.reporting import Reporter
    from kitbag_packer.converting import Converted

EPILOG = """\
examples:
  kitbag convert tools.kitbag tools.7z
  kitbag convert tools.kitbag tools.7z --encrypt --password-file secret.txt
  kitbag convert tools.7z tools.kitbag
  kitbag convert tools.kitbag tools --format dir
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("bundle", metavar="IN", help="a bundle in any form")
    parser.add_argument("output", metavar="OUT", help="the file or directory to write")
    parser.add_argument(
        "--format",
        choices=("kitbag", "7z", "dir"),
        help="the form to write (default: 7z if OUT ends in .7z, dir if it ends in a slash, "
        "otherwise kitbag)",
    )
    parser.add_argument(
        "--encrypt", action="store_true", help="write a .7z that only the password opens"
    )
    add_password(parser)
    parser.add_argument(
        "--plain",
        action="store_true",
        help="from a directory: make a file without the shell header that starts it by itself",
    )
    add_output(parser)


def run(options: argparse.Namespace, reporter: Reporter) -> int:
    """Do it; returns the exit status."""
    from kitbag_packer.cli.passwords import chosen_password
    from kitbag_packer.converting import SEVENZIP, Target, convert, is_encrypted

    if not options.output:
        raise UsageError("OUT is empty; name the file or directory to write")
    form = options.format or _form(options.output)
    if options.encrypt and form != SEVENZIP:
        raise UsageError("--encrypt is for a .7z; name the output tools.7z, or say --format 7z")
    source = Path(options.bundle)
    # A password that is not for IN can only be for OUT: nobody gives one to get a file in the open.
    given = options.password_file is not None and form == SEVENZIP and not is_encrypted(source)
    encrypt = options.encrypt or given
    target = Target(os.path.abspath(options.output), form, encrypt, options.plain)

    def ask(path: str) -> str:
        return chosen_password(options.password_file, path, twice=path == target.path)

    _render(convert(source, target, ask, reporter), as_json=options.json)
    return 0


def _form(output: str) -> str:
    if output.endswith(("/", os.sep)):
        return "dir"
    return "7z" if output.lower().endswith(".7z") else "kitbag"


def _render(converted: Converted, *, as_json: bool) -> None:
    from kitbag_installer.cli.terminal import human_size, write_json, write_line

    if as_json:
        write_json(
            {
                "bundle": converted.path,
                "format": converted.form,
                "size": converted.size,
                "sha256": converted.sha256,
            }
        )
        return
    write_line(f"Wrote {converted.path} ({human_size(converted.size)})")
    if converted.sha256:
        inside = " (of the bundle inside)" if converted.form == "7z" else ""
        write_line(f"sha256 {converted.sha256}{inside}")
