"""The program that compiles: it runs in the interpreter that the bytecode is for.

:mod:`kitbag_installer.bytecode.compiling` hands its text to that interpreter with ``-c``. So it
imports nothing but what every interpreter since 3.8 has, PyPy and GraalPy too.

On standard input, all of it before the first file, pieces that each end with a NUL: the tree, its
final home, the scratch file, the mode's flags, options, then for each source a letter (``r`` for
one that was rewritten and never gets an unchecked file, else ``-``) and its path in the tree.
Options are letters: ``i`` for insisting on the mode, ``c`` for only checking what is stale.

On standard output a line that says what the bytecode is like, then a line for each source in the
order of the input: ``c`` and the SHA-256 of what was compiled; ``f``, of what was there; ``s`` for
a stale one (when checking); ``e`` and why it can't be compiled; ``x``, the error number and the
path where the file system refused, which ends the work.
"""

from __future__ import annotations

import gc
import marshal
import os
import sys
from _imp import source_hash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

try:
    import _frozen_importlib_external as external
except ImportError:
    from importlib import _bootstrap_external as external  # type: ignore[no-redef]

try:
    from _sha2 import sha256  # type: ignore[import-not-found]
except ImportError:
    try:
        from _sha256 import sha256  # type: ignore[import-not-found]
    except ImportError:
        from hashlib import sha256

MAGIC = external.MAGIC_NUMBER
_KEY = int.from_bytes(MAGIC, "little")
_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0)
_WRITE |= getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


class Refused(Exception):
    """The file system does not take what was compiled."""


class InTheWay(Exception):
    """Something is where a compiled file goes, which concerns this file alone."""


class Compiler:
    """Compiles files of one tree."""

    def __init__(self, tree: bytes, home: bytes, scratch: bytes, flags: int, options: bytes):
        self.tree = tree
        self.home = home + b"/" if home else b""
        self.scratch = scratch
        self.flags = flags
        self.insist = b"i" in options
        self.check = b"c" in options
        self.suffix = b"." + tag().encode() + b".pyc"
        self.parent = os.getppid()
        self.folder = b""

    def handle(self, path: bytes, rewritten: bool) -> bytes:
        """Make the compiled file of ``path`` valid; returns the line that tells of it."""
        source = self.tree + b"/" + path
        folder, _, name = source.rpartition(b"/")
        target = folder + b"/__pycache__/" + name[:-3] + self.suffix
        try:
            status = os.stat(source)
            stamp = _word(int(status.st_mtime)) + _word(status.st_size)
            flags = 3 if rewritten and self.flags == 1 else self.flags
            data = None
            valid, found = self._look(target, stamp)
            if found in (1, 3):
                data = _read(source)
                valid = valid == b"" or source_hash(_KEY, data) == valid
            if (self.insist and found != flags) or (rewritten and found == 1):
                valid = False
            if valid:
                return b"f " if self.check else b"f " + _digest(_read(target))
            if self.check:
                return b"s "
            if data is None:
                data = _read(source)
        except OSError as error:
            return b"e " + _line(error.strerror or "it can't be read")
        named = (self.home + path).decode("utf-8", "surrogateescape")
        try:
            code = marshal.dumps(compile(data, named, "exec", 0, True))
        except SyntaxError as error:
            where = f" (line {error.lineno})" if error.lineno else ""
            return b"e " + _line(f"{type(error).__name__}: {error.msg}{where}")
        except Exception as error:  # noqa: BLE001  # whatever it is, the rest does not wait for it
            return b"e " + _line(f"{type(error).__name__}: {error}".rstrip(": "))
        check = source_hash(_KEY, data) if flags else stamp
        done = MAGIC + _word(flags) + check + code
        try:
            self._write(folder, target, done, status.st_mode & 0o666 | 0o200)
        except InTheWay as error:
            return b"e " + _line(str(error))
        return b"c " + _digest(done)

    def _look(self, target: bytes, stamp: bytes) -> Any:
        """What the header of ``target`` says: whether it is valid or for which hash; its flags."""
        try:
            file = os.open(target, _READ | _NO_LINK)
        except OSError:
            return False, -1
        try:
            head = os.read(file, 17)
        except IsADirectoryError:
            return False, -1
        finally:
            os.close(file)
        if len(head) < 17 or head[:4] != MAGIC:
            return False, -1
        flags = int.from_bytes(head[4:8], "little")
        if flags == 0:
            return head[8:16] == stamp, flags
        return head[8:16] if flags in (1, 3) else False, flags

    def _write(self, folder: bytes, target: bytes, data: bytes, mode: int) -> None:
        """Put ``data`` into place in one step."""
        if os.getppid() != self.parent:
            # Whoever started this is gone, and the root's lock with it.
            os._exit(1)
        path = self.scratch
        try:
            if folder != self.folder:
                path = folder + b"/__pycache__"
                _make_folder(path)
                self.folder, path = folder, self.scratch
            file = os.open(path, _WRITE, mode)
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(file, rest) :]
            finally:
                os.close(file)
            path = target
            os.replace(self.scratch, target)
        except NotADirectoryError:
            raise InTheWay("the __pycache__ beside it is a link, or no directory") from None
        except IsADirectoryError:
            raise InTheWay("a directory is where its compiled file goes") from None
        except OSError as error:
            raise Refused(error.errno or 0, path) from None


def tag() -> str:
    """What stands in the names of compiled files, ``cpython-313``; empty where there are none."""
    return sys.implementation.cache_tag or ""


def _make_folder(path: bytes) -> None:
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:
        # What a link leads to is not this tree's.
        if os.path.islink(path) or not os.path.isdir(path):
            raise NotADirectoryError(20, "") from None


def _read(path: bytes) -> bytes:
    file = os.open(path, _READ)
    try:
        size = os.fstat(file).st_size + 1
        data = os.read(file, size)
        while True:
            more = os.read(file, size) if len(data) >= size - 1 else b""
            if not more:
                return data
            data += more
    finally:
        os.close(file)


def _digest(data: bytes) -> bytes:
    digest: str = sha256(data).hexdigest()
    return digest.encode()


def _word(number: int) -> bytes:
    return (number & 0xFFFFFFFF).to_bytes(4, "little")


def _line(text: str) -> bytes:
    return " ".join(text.split()).encode("utf-8", "backslashreplace")


def main() -> None:
    """Do what standard input says."""
    import warnings

    warnings.simplefilter("ignore")
    gc.disable()
    os.umask(0)
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[3] != "final":
        version += {"alpha": "a", "beta": "b", "candidate": "rc"}[sys.version_info[3]]
        version += str(sys.version_info[4])
    name = sys.implementation.name
    hello = f"kitbag {_KEY & 0xFFFF} {tag() or '-'} {name} {version}\n"
    os.write(1, hello.encode())
    pieces = sys.stdin.buffer.read().split(b"\0")
    tree, home, scratch, flags, options = pieces[:5]
    compiler = Compiler(tree, home, scratch, int(flags), options)
    for piece in pieces[5:-1]:
        try:
            line = compiler.handle(piece[1:], piece[:1] == b"r")
        except Refused as error:
            os.write(1, b"x %d %s\n" % error.args)
            return
        os.write(1, line + b"\n")


if __name__ == "__main__":
    main()
