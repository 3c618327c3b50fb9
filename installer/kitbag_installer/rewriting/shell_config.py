r"""``bin/python3.X-config`` and other files that a shell reads.

Upstream's shell script finds its own place, but through unquoted substitutions that fail in a path
with a blank, and through ``sed`` expressions that fail with ``#`` or ``&``. Here it gets a few
lines that find it without either, also when it is called through a link, and its flags come out
quoted for the shell where the home needs that: right in a Makefile and in ``eval``, as with
pkg-config. The Python variant (on macOS, and in ``config-*``) gets the same quotes.
"""

from __future__ import annotations

import re

from kitbag_bundles.layout import PREFIX
from kitbag_installer.rewriting.prefix import path_pattern
from kitbag_installer.rewriting.sysconfig_values import ValueRewriter

_FIND_HOME = r"""
# The place of this script, found anew at each call: the tree can be moved.
self=$0
case $self in
    */*) ;;
    *) self=./$self ;;
esac
while [ -h "$self" ]; do
    link=$(readlink "$self")
    case $link in
        /*) self=$link ;;
        *) self=${self%/*}/$link ;;
    esac
done
prefix_real=$(CDPATH= cd -- "${self%/*}/.." && pwd -P)

# One word of a shell: quoted, but only where it has to be.
quoted ()
{
    case $1 in
        *[\ \"\'\`\$\\\|\&\;\<\>\(\)\*\?\[]*)
            printf "'%s'" "$(printf '%s\n' "$1" | sed "s/'/'\\\\''/g")" ;;
        *) printf '%s' "$1" ;;
    esac
}
prefix_flags=$(quoted "$prefix_real")
"""
_FUNCTION = re.compile(r"^installed_prefix[ \t]*\(\)\n\{\n.*?\n\}\n", re.MULTILINE | re.DOTALL)
_CALL = 'prefix_real=$(installed_prefix "$0")'
_SED = re.compile(r'\$\(echo ("[^"\n]*") \| sed "s#\$prefix#\$prefix_real#"\)')
_ASSIGNMENT = re.compile(r'^([A-Za-z_]\w*)="(.*)"$', re.MULTILINE)
_FLAG = re.compile(r"-([IL])\$\{?(includedir|libdir|LIBPL)\b\}?")

_QUOTE_PYTHON = """
import shlex

def quoted(path):
    return shlex.quote(path) if set(path) & set(" \\"'`$\\\\|&;<>()*?[") else path
"""
_PYTHON_FLAG = re.compile(r"('-[IL]' \+ )((?:sysconfig\.get_path|getvar)\('\w+'\))")

_VARIABLE = re.compile(r"^([A-Za-z_]\w*=)(.*)$", re.MULTILINE)
_DEPENDENCIES = path_pattern("/tools/deps")


def rewrite(pristine: str) -> str:
    """The shell variant, self-relative; the same for every home.

    A text without upstream's ``installed_prefix`` is some other script and is returned as it is.
    """
    text, count = _FUNCTION.subn(lambda _: _FIND_HOME.lstrip("\n"), pristine, count=1)
    if not count:
        return pristine
    path = ValueRewriter("${prefix_real}", quoting=False)
    flags = ValueRewriter("${prefix_flags}", quoting=False)

    def assignment(found: re.Match[str]) -> str:
        name, value = found.groups()
        if not path.concerns(value):
            return found[0]
        rewriter = path if value.startswith("/") and " " not in value else flags
        return f'{name}="{rewriter(name, value)}"'

    text = _SED.sub(lambda found: found[1], text.replace(_CALL + "\n", ""))
    text = _ASSIGNMENT.sub(assignment, text)
    return _FLAG.sub(r'-\1$(quoted "$\2")', text)


def rewrite_python(text: str) -> str:
    """The Python variant, whose header is not this function's business, with quoted flags."""
    new, count = _PYTHON_FLAG.subn(r"\1quoted(\2)", text)
    return (
        new.replace("import sysconfig\n", f"import sysconfig\n{_QUOTE_PYTHON}", 1)
        if count
        else text
    )


def rewrite_variables(pristine: str, home: str) -> str:
    """A file of assignments such as ``tclConfig.sh``, which a shell reads with ``.``.

    It cannot know its own place, so it names the home. Tcl's and Tk's were installed below
    ``/tools/deps`` and copied into the tree from there.
    """
    rewriter = ValueRewriter(home)

    def variable(found: re.Match[str]) -> str:
        if not rewriter.concerns(found[2]):
            return found[0]
        return rewriter("", _DEPENDENCIES.sub(PREFIX, found[0])) or found[1] + "''"

    return _VARIABLE.sub(variable, pristine)
