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
    requires_python: str = ""
    metadata_sha256: str = ""
    """Of the file beside it that has its metadata; empty if there is none."""


def index_pages(wheels: Mapping[str, Listed]) -> dict[str, bytes]:
    """Every file of the index by its place; ``wheels`` by the names of their files.

    Links are relative: the pages are right wherever the export is.
    """
    projects: dict[str, dict[str, Listed]] = {}
    for filename in sorted(wheels):
        projects.setdefault(_project(filename), {})[filename] = wheels[filename]
    names = sorted(projects)
    pages = {
        FOLDER + "index.html": _page("Simple index", [_link(f"{name}/", name) for name in names]),
        START: _json({"projects": [{"name": name} for name in names]}),
    }
    for name in names:
        files = projects[name]
        links = [_file_link(filename, listed) for filename, listed in files.items()]
        pages[f"{FOLDER}{name}/index.html"] = _page(f"Links for {name}", links)
        pages[f"{FOLDER}{name}/index.json"] = _json(
            {
                "name": name,
                "versions": sorted({filename.split("-")[1] for filename in files}),
                "files": [_file_table(filename, listed) for filename, listed in files.items()],
            }
        )
    return pages


def _project(filename: str) -> str:
    """The project's normalised name, which is also its folder's."""
    return re.sub(r"[-_.]+", "-", filename.partition("-")[0]).lower()


def _url(filename: str) -> str:
    return f"../../{WHEELS}{quote(filename)}"


def _file_link(filename: str, listed: Listed) -> str:
    said = {}
    if listed.requires_python:
        said["data-requires-python"] = listed.requires_python
    if listed.metadata_sha256:
        said["data-core-metadata"] = f"sha256={listed.metadata_sha256}"
    return _link(f"{_url(filename)}#sha256={listed.sha256}", filename, said)


def _file_table(filename: str, listed: Listed) -> dict[str, Any]:
    table: dict[str, Any] = {
        "filename": filename,
        "url": _url(filename),
        "hashes": {"sha256": listed.sha256},
        "size": listed.size,
    }
    if listed.requires_python:
        table["requires-python"] = listed.requires_python
    if listed.metadata_sha256:
        table["core-metadata"] = {"sha256": listed.metadata_sha256}
    return table


def _link(url: str, text: str, said: Mapping[str, str] | None = None) -> str:
    attributes = {"href": url, **(said or {})}
    told = " ".join(f'{name}="{html.escape(value)}"' for name, value in attributes.items())
    return f"<a {told}>{html.escape(text)}</a><br>\n"


def _page(title: str, links: list[str]) -> bytes:
    return (
        "<!DOCTYPE html>\n"
        '<html>\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="pypi:repository-version" content="{_API}">\n'
        f"<title>{html.escape(title)}</title>\n</head>\n<body>\n{''.join(links)}</body>\n</html>\n"
    ).encode("ascii")


def _json(table: dict[str, Any]) -> bytes:
    text = json.dumps({"meta": {"api-version": _API}, **table}, indent=1, sort_keys=True)
    return (text + "\n").encode("ascii")
