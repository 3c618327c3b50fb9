"""The text that goes with an export: what is in it, and the commands that use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitbag_installer.mirrors import DIRECT_LIST, LIST, PUBLISHERS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_PYTHON = """\
Archives of Python, laid out so that uv can use them with no other network.
Made by "kitbag export".{also}

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

_ALONE = """\
Packages for Python, laid out so that pip and uv can use them with no other
network. Made by "kitbag export".

  SHA256SUMS
      check every file: sha256sum -c SHA256SUMS

"""

_PACKAGES = """\
Packages
--------
  wheels/
      each package as a wheel
  requirements-<environment>-<target>.txt
      what belongs together, with hashes, for pip
  pylock.<environment>-<target>.toml
      the same as a lock, for uv
  simple/
      an index of the wheels, for a web server

Here are:
{labels}

Go into this folder, and then, for one that is for your machine:

  pip install --no-index --find-links wheels --require-hashes \\
    -r {requirements}

  uv pip sync --offline {lock}

Both install into the virtual environment that is active. uv clears it of all
else; "uv pip install -r" does not.

When a web server serves this folder, on the other machines:

  pip install -i http://SERVER:8000/simple/ --require-hashes \\
    -r {requirements}

  uv pip install --default-index http://SERVER:8000/simple/ \\
    --require-hashes -r {requirements}

pip wants --trusted-host SERVER too, unless that is https.
"""


def export_readme(
    implementations: Collection[str], labels: Sequence[str] = (), *, lists: bool = True
) -> str:
    """The text for a tree with archives of these implementations, and these environments.

    ``labels`` are those of :mod:`kitbag_installer.environments.wheelhouse`; ``lists`` says whether
    there are lists for uv.
    """
    parts = []
    if lists:
        parts.append(
            _python(implementations, " Packages are here too, see below." if labels else "")
        )
    if labels:
        parts.append(_packages(labels, "" if lists else _ALONE))
    return "\n".join(parts)


def _packages(labels: Sequence[str], start: str) -> str:
    from kitbag_installer.environments.wheelhouse import place_of_lock, place_of_requirements

    return start + _PACKAGES.format(
        labels="\n".join(
            f"  {place_of_requirements(each)}\n  {place_of_lock(each)}" for each in labels
        ),
        requirements=place_of_requirements(labels[0]),
        lock=place_of_lock(labels[0]),
    )


def _python(implementations: Collection[str], also: str) -> str:
    found = [(name, each) for name, each in PUBLISHERS.items() if name in implementations]
    folders = [each.folder or "<release>/" for _, each in found]
    join = " \\\n    "
    return _PYTHON.format(
        also=also,
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
