"""Compiles source files with the interpreter they are for, in a process of that interpreter."""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.errors import KitbagError, file_system_error
from kitbag_installer.bytecode.modes import FLAGS, TIMESTAMP
from kitbag_installer.bytecode.sources import compiled_path

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Collection, Iterator, Sequence

    from kitbag_bundles.reporting import Progress

TIMEOUT = 60.0
"""Seconds that an interpreter may take to start, and for one file; uv's."""
_MOST_DEATHS = 3


@dataclass
class Compiled:
    """What became of some source files; merge several with :meth:`add`.

    ``files`` maps the path of every compiled file that is valid now (fresh ones too) to its
    SHA-256; ``failures`` maps each source that would not compile to the reason, one line.
    """

    compiled: int = 0
    fresh: int = 0
    files: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def add(self, other: Compiled) -> None:
        """Take over what ``other`` has."""
        self.compiled += other.compiled
        self.fresh += other.fresh
        self.files.update(other.files)
        self.failures.update(other.failures)


class Maker(NamedTuple):
    """What an interpreter says of the bytecode that it makes."""

    magic: int
    """3571 for CPython 3.13: the first two bytes of each file, little-endian."""
    tag: str
    """``cpython-313``; empty for an interpreter that keeps no compiled files."""
    implementation: str
    version: str


def describe(interpreter: str) -> Maker:
    """Ask ``interpreter`` what its bytecode is like; raises :class:`KitbagError`."""
    with _Worker(interpreter, b"") as worker:
        return worker.maker


def compile_files(
    interpreter: str,
    tree: str,
    sources: Sequence[str],
    *,
    home: str,
    mode: str,
    insist: bool = False,
    progress: Progress | None = None,
    rewritten: Collection[str] = (),
    scratch: str = "",
    reproducible: bool = False,
) -> Compiled:
    """Compile those of ``sources`` that are stale, one after the other, in one fresh process.

    ``sources`` are relative to ``tree``; the same files in the same order give the same bytes.
    ``home`` goes before each path into the code object's ``co_filename``; empty keeps it relative
    to the tree, for bytecode that is made for elsewhere (the import system puts the real name in).
    ``progress`` advances by one for each file. Those of ``sources`` that are ``rewritten`` never
    get an unchecked file. Each file is made as ``scratch``, by default one in ``tree``, and
    renamed. What is ``reproducible`` does not depend on the environment: hash seed and locale are
    fixed, which costs ``-I`` its part in that.

    A file on which the interpreter dies or hangs is a failure, and the rest is left to another
    process. Raises :class:`KitbagError` if the interpreter does not start or dies on several files
    in a row, and :class:`FileSystemError` where nothing can be written.
    """
    done = Compiled()
    scratch = scratch or os.path.join(tree, f".kitbag-file-{os.urandom(6).hex()}")
    waiting = list(sources)
    deaths = 0
    try:
        while waiting:
            head = _head(tree, home, scratch, mode, "i" * insist)
            fixed = tree if reproducible else ""
            with _Worker(interpreter, head + _listed(waiting, rewritten), fixed) as worker:
                tag = worker.maker.tag
                for source, sign, text in worker.answers(waiting):
                    if sign == "e":
                        done.failures[source] = text
                    else:
                        done.files[compiled_path(source, tag)] = text
                        done.compiled += sign == "c"
                        done.fresh += sign == "f"
                    if progress is not None:
                        progress.advance(1)
                deaths = 0 if worker.handled else deaths
                waiting = waiting[worker.handled :]
                problem = worker.how_it_ended() if waiting else ""
            if waiting:
                done.failures[waiting[0]] = problem
                deaths += 1
                if deaths == _MOST_DEATHS:
                    raise KitbagError(
                        f"{interpreter}: {problem} while it compiled {waiting[0]}; "
                        "the system may be short of memory"
                    )
                del waiting[0]
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(scratch)
    return done


def stale_files(
    interpreter: str,
    tree: str,
    sources: Sequence[str],
    *,
    mode: str,
    insist: bool = False,
    rewritten: Collection[str] = (),
) -> tuple[list[str], str]:
    """Those of ``sources`` that :func:`compile_files` would compile, and the tag of the others.

    Raises :class:`KitbagError`.
    """
    head = _head(tree, "", "", mode, "c" + "i" * insist)
    with _Worker(interpreter, head + _listed(sources, rewritten)) as worker:
        stale = [source for source, sign, _ in worker.answers(sources) if sign != "f"]
        if worker.handled < len(sources):
            raise KitbagError(f"{interpreter}: {worker.how_it_ended()} while it looked for files")
        return stale, worker.maker.tag


def _head(tree: str, home: str, scratch: str, mode: str, options: str) -> bytes:
    pieces = (tree, home, scratch, str(FLAGS[mode]), options)
    return b"".join(os.fsencode(piece) + b"\0" for piece in pieces)


def _listed(sources: Sequence[str], rewritten: Collection[str]) -> bytes:
    return b"".join(
        (b"r" if source in rewritten else b"-") + os.fsencode(source) + b"\0" for source in sources
    )


class _Worker:
    """One process of the interpreter, with what it is to do."""

    def __init__(self, interpreter: str, orders: bytes, fixed: str = "") -> None:
        """``fixed``: a folder without modules, to run in with nothing left to the environment."""
        self._interpreter = interpreter
        self._fixed = fixed
        self._orders = orders or _head("", "", "", TIMESTAMP, "")
        self.handled = 0

    def __enter__(self) -> _Worker:
        import subprocess

        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
        }
        # Modules that a locale loads share names with what is compiled, and marshal tells; before
        # 3.11 the order of a frozenset depends on the seed. Isolated mode would ignore that.
        fixed = {"PYTHONHASHSEED": "0", "PYTHONSAFEPATH": "1", "LC_ALL": "C"} if self._fixed else {}
        environment.update(fixed)
        try:
            self._process: subprocess.Popen[bytes] = subprocess.Popen(
                [self._interpreter, "-s" if fixed else "-I", "-S", "-B", "-c", _program()],
                env=environment,
                cwd=self._fixed or None,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise KitbagError(f"{self._interpreter}: can't be started ({error.strerror})") from None
        self._watch = _Watch(self._process)
        try:
            self.maker = self._begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.wait()
        self._watch.stop()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]

    def _begin(self) -> Maker:
        """Give it its orders and hear what it is."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        self._stdout = stdout
        with contextlib.suppress(BrokenPipeError):
            # It reads all of them before it begins, so neither waits for the other.
            stdin.write(self._orders)
            stdin.close()
        words = self._listen().decode("ascii", "replace").split()
        if len(words) != 5 or words[0] != "kitbag" or not words[1].isdecimal():
            raise KitbagError(
                f"{self._interpreter}: {self.how_it_ended()} before it could compile anything; "
                "install the build again with --reinstall"
            )
        if words[2] == "-":
            raise KitbagError(f"{self._interpreter}: it keeps no compiled files")
        return Maker(int(words[1]), *words[2:])

    def answers(self, sources: Sequence[str]) -> Iterator[tuple[str, str, str]]:
        """Each of ``sources`` with its sign and text, as far as it gets."""
        for source in sources:
            line = self._listen()
            if not line.endswith(b"\n") or line[1:2] != b" ":
                return
            sign, text = chr(line[0]), line[2:-1]
            if sign == "x":
                number, _, path = text.partition(b" ")
                error = OSError(int(number), os.strerror(int(number)), os.fsdecode(path))
                raise file_system_error(error, "")
            self.handled += 1
            yield source, sign, text.decode("utf-8", "replace")

    def _listen(self) -> bytes:
        self._watch.begin()
        line: bytes = self._stdout.readline()
        self._watch.end()
        return line

    def how_it_ended(self) -> str:
        """What happened to the process, as a clause; it is over then."""
        if self._watch.expired:
            return f"the interpreter took longer than {TIMEOUT:.0f} seconds"
        import subprocess

        try:
            # Its pipe is closed a moment before it is gone.
            status = self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return "the interpreter answered something strange"
        how = f"signal {-status}" if status < 0 else f"status {status}"
        return f"the interpreter ended early ({how})"


class _Watch:
    """Kills a process that is silent for too long; on every system, unlike ``select``.

    What counts is the time that passes while somebody listens, in steps: not the one in which a
    terminal takes no output, or in which all of kitbag is stopped, its interpreters too.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """Somebody is listening from the start."""
        self.expired = False
        self._process = process
        self._silence = 0.0
        self._listening = True
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def begin(self) -> None:
        """Somebody listens from now on."""
        self._silence = 0.0
        self._listening = True

    def end(self) -> None:
        """Nobody listens any more."""
        self._listening = False

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        step = min(TIMEOUT / 4, 1.0)
        while not self._stopped.wait(step):
            self._silence += step * self._listening
            if self._silence > TIMEOUT:
                self.expired = True
                self._process.kill()
                return


def _program() -> str:
    from kitbag_installer.bytecode import worker

    loader = worker.__loader__
    text: str | None = loader.get_source(worker.__name__)  # type: ignore[union-attr]
    if text is None:
        raise KitbagError(f"{worker.__name__}: its source is missing; install kitbag again")
    return text
