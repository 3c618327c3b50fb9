"""``*.dist-info/RECORD``: sha256 and size of the installed files that were rewritten.

The format is CSV with three fields, path, ``sha256=<urlsafe base64 without padding>`` and size
(the "recording installed projects" specification of packaging.python.org). Only the rows of
rewritten files change; quoting, line ends and all other rows stay.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def rewrite(pristine: str, site_packages: str, changed: Mapping[str, bytes]) -> str:
    """The RECORD of a project in ``site_packages`` after ``changed``, path to new content.

    Paths are relative to the top of the build. A row without a hash stays without.
    """
    from base64 import urlsafe_b64encode
    from hashlib import sha256

    cells: dict[str, bytes] = {}
    for path, content in changed.items():
        name = posixpath.relpath(path, site_packages)
        cells['"' + name.replace('"', '""') + '"'] = content
        if not re.search(r'[",]', name):
            cells[name] = content
    if not cells:
        return pristine
    rows = re.compile(
        rf"^({'|'.join(map(re.escape, cells))}),sha256=[\w=-]+,\d*(?=\r?$)", re.MULTILINE
    )

    def row(found: re.Match[str]) -> str:
        content = cells[found[1]]
        digest = urlsafe_b64encode(sha256(content).digest()).rstrip(b"=").decode()
        return f"{found[1]},sha256={digest},{len(content)}"

    return rows.sub(row, pristine)
