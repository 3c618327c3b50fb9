"""``lib/pkgconfig/*.pc``: relative to the file itself, the same for every home.

``prefix`` becomes ``${pcfiledir}/../..`` and everything else refers to ``${prefix}``. Blanks in
the home are escaped by pkg-config when it fills in ``pcfiledir``, so quotes would be wrong here.
"""

from __future__ import annotations

import re

from kitbag_bundles.layout import PREFIX
from kitbag_installer.rewriting.prefix import path_pattern
from kitbag_installer.rewriting.sysconfig_values import ValueRewriter

HERE = "${pcfiledir}/../.."
_LINE = re.compile(r"^([\w.]+)([ \t]*[:=][ \t]*)(.*)$", re.MULTILINE)
_PREFIX_LINE = re.compile(r"^prefix[ \t]*=[ \t]*/(?:install|tools/deps)[ \t]*$", re.MULTILINE)
_DEPENDENCIES = path_pattern("/tools/deps")


def rewrite(pristine: str) -> str:
    """The file, self-relative.

    Tcl's and Tk's were installed below ``/tools/deps`` and copied into the tree from there, so
    for a file with that prefix it is the build-time prefix too.
    """
    found = _PREFIX_LINE.search(pristine)
    text = pristine
    if found and "/tools/deps" in found[0]:
        text = _DEPENDENCIES.sub(PREFIX, text)
    rewriter = ValueRewriter("${prefix}" if found else HERE, quoting=False)

    def line(found: re.Match[str]) -> str:
        name, separator, value = found.groups()
        if not rewriter.concerns(value):
            return found[0]
        if name == "prefix" and value.strip() == PREFIX:
            return name + separator + HERE
        return name + separator + rewriter("", value)

    return _LINE.sub(line, text)
