"""The real uv as a subprocess: found, run in bounded surroundings, its errors told in one line.

It is an optional dependency (``kitbag[uv]``). Nothing here knows what it is asked for.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import subprocess
import threading
from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles.errors import Interrupted, UsageError
from kitbag_packer.downloads.accounts import Accounts
from kitbag_packer.errors import OfflineError, ResolverError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NAMES = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "TMPDIR", "TEMP", "TMP", "TERM", "NETRC"),
        *("SSH_AUTH_SOCK", "SSH_AGENT_PID", "DBUS_SESSION_BUS_ADDRESS", "SOURCE_DATE_EPOCH"),
        *("CC", "CXX", "AR", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "PKG_CONFIG_PATH"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "USERNAME", "USERPROFILE"),
        *("HOMEDRIVE", "HOMEPATH", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES"),
        *("PROGRAMFILES(X86)", "PROCESSOR_ARCHITECTURE", "NUMBER_OF_PROCESSORS"),
    }
)
_PREFIXES = ("LC_", "XDG_", "SSL_", "GIT_", "UV_")
# What a person set for other commands of uv, and what would change the question that is asked.
_NOT_FOR_US = re.compile(
    r"UV_(PYTHON.*|PROJECT.*|WORKING_DIR.*|FROZEN|LOCKED|NO_DEV|NO_GROUP|NO_DEFAULT_GROUPS|"
    r"NO_EDITABLE|NO_SYNC|CUSTOM_COMPILE_COMMAND|SYSTEM_PYTHON|BREAK_SYSTEM_PACKAGES|ENV_FILE|"
    r"NO_BINARY.*|NO_BUILD|NO_BUILD_PACKAGE|REQUIRE_HASHES|VERIFY_HASHES|ISOLATED|"
    r"COMPILE_BYTECODE.*|EXTRA_BUILD.*|LOG.*|RUN_.*|TOOL_.*|PUBLISH_.*|INTERNAL_.*)"
)
_DECORATION = re.compile("^[\\s\N{MULTIPLICATION SIGN}\u2500-\u259f\u25a0-\u25ff]+")
_CROSS = "\N{MULTIPLICATION SIGN}"
_CAUSE = re.compile(r"^(cause|Caused by):\s*")
_LONGEST = 900
"""Characters of an error that are told."""
_GRACE = 2.0
"""Seconds that uv has to end in order."""
_NO_NETWORK = ("the network was disabled", "network connectivity is disabled", "--offline")
_TRUE = ("1", "true", "yes", "on", "y", "t")
_TOO_OLD = ("unexpected argument", "invalid value", "unrecognized subcommand")


class Answer(NamedTuple):
    """What uv said."""

    status: int
    """Its exit status."""
    out: str
    err: str
    """As it is; it may hold credentials, and is never shown."""


class Uv:
    """uv, to be asked from any thread; :meth:`stop` ends whatever runs."""

    def __init__(
        self,
        accounts: Accounts | None = None,
        *,
        offline: bool = False,
        environ: Mapping[str, str] | None = None,
        program: str = "",
    ) -> None:
        """``program`` is looked for when it is first needed."""
        self.accounts = accounts if accounts is not None else Accounts()
        self._environ = dict(os.environ if environ is None else environ)
        self.offline = offline or self._environ.get("UV_OFFLINE", "").lower() in _TRUE
        self._given = program
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    @functools.cached_property
    def program(self) -> str:
        """The path of its executable; raises :class:`UsageError`."""
        return self._given or find_uv(self._environ)

    def run(
        self,
        arguments: Sequence[str | os.PathLike[str]],
        folder: str | os.PathLike[str],
        more: Mapping[str, str] | None = None,
    ) -> Answer:
        """Run uv with ``arguments`` in ``folder``; ``more`` is set in its environment.

        Raises :class:`UsageError` where there is no uv, and :class:`Interrupted` once stopped.
        """
        command = [self.program, *(os.fspath(each) for each in arguments), "--no-progress"]
        if self.offline:
            command.append("--offline")
        environment = {**surroundings(self._environ), **(more or {})}
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise UsageError(
                f"{self.program} can't be started ({error.strerror}); install uv anew, or give "
                "another one the first place on PATH"
            ) from None
        with process:
            try:
                self._enter(process)
                out, err = process.communicate()
            except BaseException:
                _end(process)
                raise
            finally:
                with self._lock:
                    self._running.discard(process)
        if self._stopped:
            raise Interrupted("stopped while uv was running; nothing of it is left")
        return Answer(
            process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")
        )

    def ask(
        self,
        arguments: Sequence[str | os.PathLike[str]],
        folder: str | os.PathLike[str],
        what: str,
        more: Mapping[str, str] | None = None,
        advice: str = "",
    ) -> Answer:
        """As :meth:`run`, for what must succeed.

        ``what`` begins the message of the error: :class:`ResolverError` or :class:`OfflineError`.
        """
        answer = self.run(arguments, folder, more)
        if answer.status != 0:
            raise self.error_of(answer, what, advice)
        return answer

    def error_of(
        self, answer: Answer, what: str, advice: str = ""
    ) -> ResolverError | OfflineError | UsageError:
        """What went wrong, in one line."""
        said = self.told(answer.err) or f"ended with status {answer.status}"
        if self.offline and any(words in answer.err for words in _NO_NETWORK):
            return OfflineError(
                f"{what}: uv needs more than its cache has, and --offline forbids to fetch it "
                f"({said}); run it once without --offline"
            )
        if "invalid port number" in answer.err:
            # As if a password ended the host.
            advice = "in a password write %2F for /, %3F for ? and %23 for #"
        elif answer.status == 2 and any(words in answer.err for words in _TOO_OLD):
            return UsageError(
                f"{what}: this uv can't do what kitbag asks of it ({self.program}: {said}); "
                "update it: pip install --upgrade uv"
            )
        return ResolverError(f"{what}: uv says: {said}" + (f"; {advice}" if advice else ""))

    def told(self, err: str) -> str:
        """uv's error without its form and without credentials, in one line."""
        return _shortened(self.accounts.hide(condensed(err)))

    def warnings(self, answer: Answer) -> list[str]:
        """What it warned of, one line each."""
        return [
            _shortened(self.accounts.hide(_plain(line.removeprefix("warning:"))))
            for line in answer.err.splitlines()
            if line.startswith("warning:")
        ]

    def stop(self) -> None:
        """End what runs, and let nothing start any more."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            with contextlib.suppress(OSError):
                process.terminate()

    def _enter(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            if self._stopped:
                raise Interrupted("stopped before uv was asked")
            self._running.add(process)


def find_uv(environ: Mapping[str, str]) -> str:
    """The path of uv: of the package beside kitbag, else on ``PATH``; raises UsageError."""
    try:
        from uv import find_uv_bin

        path: str = find_uv_bin()
        return path
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv", path=environ.get("PATH"))
    if not found:
        raise UsageError(
            "there is no uv here, which reads a uv.lock, looks requirements up, and resolves a "
            "project without a lock; install it beside kitbag (pip install uv) or put it on PATH, "
            "or name a pylock.toml with --lock, which needs none"
        )
    return found


def surroundings(environ: Mapping[str, str]) -> dict[str, str]:
    """What uv sees of the environment: places, network, compilers and its own settings.

    Whatever runs as a part of it never asks, and never downloads a Python.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if (name.upper() in _NAMES or name.startswith(_PREFIXES))
        and not _NOT_FOR_US.fullmatch(name)
    }
    return {
        "GIT_TERMINAL_PROMPT": "0",
        **kept,
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        "NO_COLOR": "1",
    }


def condensed(err: str) -> str:
    """The error in what uv wrote: its first line, its causes, and a hint, joined."""
    raw = err.splitlines()
    lines = [_DECORATION.sub("", line).strip() for line in raw]
    begins = [n for n, line in enumerate(raw) if line.startswith("error:") or _CROSS in line[:4]]
    begin = begins[0] if begins else 0
    parts: list[str] = []
    hints: list[str] = []
    into = parts
    for line in lines[begin:]:
        text = _plain(line)
        if text.startswith("hint:"):
            into = hints
        if not text or text.startswith(("warning:", "Usage:", "For more information")):
            continue
        is_hint = text.startswith("hint:")
        text = _CAUSE.sub("", text.removeprefix("error:").removeprefix("hint:").strip())
        if into and not is_hint and not _CAUSE.match(line) and not line.startswith("error:"):
            into[-1] += f" {text}"
        elif text:
            into.append(text)
    told = ": ".join(part.rstrip(".:") for part in parts)
    return f"{told} ({hints[0].rstrip('.')})" if told and hints else told


def _plain(text: str) -> str:
    """One line that can be printed."""
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        process.terminate()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
