"""Where a package comes from that no index had, as an environment tells it.

The texts are those of ``direct_url.json``, with what uv writes into it:
https://packaging.python.org/en/latest/specifications/direct-url-data-structure/.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from kitbag_packer.downloads.addresses import is_local, shown
from kitbag_packer.environments.model import VCS

if TYPE_CHECKING:
    from kitbag_packer.environments.model import Pick


def direct_url(pick: Pick) -> str:
    """The text for ``pick``; empty for what an index had, and for what is of this machine alone."""
    if pick.kind == VCS:
        address = _repository(pick.repository)
        asked = {"requested_revision": pick.revision} if pick.revision else {}
        vcs = {"vcs": pick.vcs, "commit_id": pick.commit, **asked}
        info: dict[str, object] = {"vcs_info": vcs}
    else:
        address = next((shown(url) for url in pick.urls if pick.direct and not is_local(url)), "")
        info = {"archive_info": {}}
    if not address:
        return ""
    table = {"url": address, **info}
    if pick.subdirectory:
        table["subdirectory"] = pick.subdirectory
    return json.dumps(table, separators=(",", ":"))


def _repository(address: str) -> str:
    """The address without credentials; ``git@`` is none, and nothing is cloned by SSH without."""
    if "://" not in address or is_local(address):
        return ""
    public = urlsplit(shown(address))
    if urlsplit(address).netloc.startswith("git@"):
        public = public._replace(netloc=f"git@{public.netloc}")
    return urlunsplit(public)
