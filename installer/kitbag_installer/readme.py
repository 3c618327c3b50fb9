"""The text that goes with an export: what is in it, and the commands that use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitbag_installer.mirrors import DIRECT_LIST, LIST, PUBLISHERS

if TYPE_CHECKING:
    from collections.abc import Collection

_TEXT = """\
Archives of Python, laid out so that uv can use them with no other network.
Made by "kitbag export".

  {folders}
  {list}
      the list of what is here, with the publishers' addresses; it goes with
      the mirror options below, and stays right wherever this folder is
  {direct}
      the same list with whole addresses; it needs no mirror option, but is
      right only where it says that this folder is
  SHA256SUMS
      check every file: sha256sum -c SHA256SUMS

From this folder, on a machine that has no network
--------------------------------------------------
Go into this folder, and then:

  uv python install 3.13 --offline \\
    --python-downloads-json-url "file://$PWD/{list}"{files}

3.13 stands for what you want. UV_PYTHON_CACHE_DIR must not be set.

From a web server
-----------------
Let any server for plain files serve this folder, for a try:

  python3 -m http.server 8000

and on the other machines:

  uv python install 3.13 \\
    --python-downloads-json-url http://SERVER:8000/{list}{served}

For good, as environment variables:

  UV_PYTHON_DOWNLOADS_JSON_URL=http://SERVER:8000/{list}
{variables}

With kitbag
-----------
  kitbag pack 3.13 -o tools.kitbag --catalog {list}{mirrors}
"""


def mirror_readme(implementations: Collection[str]) -> str:
    """The text for a tree with archives of these implementations."""
    found = [(name, each) for name, each in PUBLISHERS.items() if name in implementations]
    folders = [each.folder or "<release>/" for _, each in found]
    join = " \\\n    "
    return _TEXT.format(
        folders="\n  ".join(folders) or "(no archives)",
        list=LIST,
        direct=DIRECT_LIST,
        files="".join(
            f'{join}{each.option} "file://$PWD{_tail(each.folder)}"' for _, each in found
        ),
        served="".join(
            f"{join}{each.option} http://SERVER:8000{_tail(each.folder)}" for _, each in found
        ),
        variables="\n".join(
            f"  {each.variable}=http://SERVER:8000{_tail(each.folder)}" for _, each in found
        ),
        mirrors="".join(
            f"{join}--mirror {'' if name == 'cpython' else name + '='}./{each.folder}".rstrip("/")
            for name, each in found
        ),
    )


def _tail(folder: str) -> str:
    return f"/{folder}".rstrip("/")
