"""An index of wheels as plain files, for any web server: PEP 503 pages, and PEP 691's JSON beside.

https://packaging.python.org/en/latest/specifications/simple-repository-api/
"""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from kitbag_bundles.members import WHEELS

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = "simple/"
"""Where the index is in an export."""
START = FOLDER + "index.json"
"""The list of projects for machines."""
_API = "1.1"


class Listed(NamedTuple):
    """One wheel, as an index tells of it."""

    sha256: str
    size: int


def index_pages(wheels: Mapping[str, Listed]) -> dict[str, bytes]:
    """Every file of the index by its place; ``wheels`` by the names of their files.

    Links are relative: the pages are right wherever the export is.
    """
    projects: dict[str, dict[str, Listed]] = {}
    for filename in sorted(wheels):
        projects.setdefault(_project(filename), {})[filename] = wheels[filename]
    names = sorted(projects)
    pages = {
        FOLDER + "index.html": _page("Simple index", [(f"{name}/", name) for name in names]),
        START: _json({"projects": [{"name": name} for name in names]}),
    }
    for name in names:
        files = projects[name]
        links = [(f"{_url(each)}#sha256={files[each].sha256}", each) for each in files]
        pages[f"{FOLDER}{name}/index.html"] = _page(f"Links for {name}", links)
        pages[f"{FOLDER}{name}/index.json"] = _json(
            {
                "name": name,
                "versions": sorted({filename.split("-")[1] for filename in files}),
                "files": [
                    {
                        "filename": filename,
                        "url": _url(filename),
                        "hashes": {"sha256": listed.sha256},
                        "size": listed.size,
                    }
                    for filename, listed in files.items()
                ],
            }
        )
    return pages


def _project(filename: str) -> str:
    """The project's normalised name, which is also its folder's."""
    return re.sub(r"[-_.]+", "-", filename.partition("-")[0]).lower()


def _url(filename: str) -> str:
    return f"../../{WHEELS}{quote(filename)}"


def _page(title: str, links: list[tuple[str, str]]) -> bytes:
    rows = "".join(
        f'<a href="{html.escape(url)}">{html.escape(text)}</a><br>\n' for url, text in links
    )
    return (
        "<!DOCTYPE html>\n"
        '<html>\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="pypi:repository-version" content="{_API}">\n'
        f"<title>{html.escape(title)}</title>\n</head>\n<body>\n{rows}</body>\n</html>\n"
    ).encode("ascii")


def _json(table: dict[str, Any]) -> bytes:
    text = json.dumps({"meta": {"api-version": _API}, **table}, indent=1, sort_keys=True)
    return (text + "\n").encode("ascii")
