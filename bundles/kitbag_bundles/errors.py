"""The one tree of errors, shared by the packer and the installer.

::

    KitbagError                     1  failed
    ├── FileSystemError             1  the disk, permissions, a path
    ├── LockTimeout                 1  another process works on the same root
    ├── SmokeTestFailed             1  an installed interpreter does not run
    ├── UsageError                  2  the command line, a file that is not there
    ├── IntegrityError              3  something is not what it says it is
    │   ├── BundleError             3  the bundle's structure
    │   │   └── UnsupportedFormat   3  a bundle from a newer kitbag
    │   ├── DigestMismatch          3  a hash
    │   └── ArchiveError            3  the archive of a build
    ├── NoMatch                     4  nothing fits the request
    ├── DoesNotFit                  5  the target can't run it
    └── Interrupted               130  Ctrl-C, SIGTERM, SIGHUP

``code`` is stable and meant for machines; ``exit_status`` is what the command line ends with. The
message is one line and says what happened, to which file, and what to do next.
"""

from __future__ import annotations

TYPE_CHECKING = False  # this module is imported before anything else is needed
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class KitbagError(Exception):
    """Root of every error that kitbag raises on purpose."""

    code = "failed"
    exit_status = 1

    def table(self) -> dict[str, object]:
        """The error as JSON tells it."""
        return {"code": self.code, "message": str(self)}


class FileSystemError(KitbagError):
    """The file system refused: no space, no permission, a path that cannot be."""

    code = "file-system"


class LockTimeout(KitbagError):
    """Another process held the root's lock for too long."""

    code = "locked"


class SmokeTestFailed(KitbagError):
    """A freshly extracted interpreter did not start or reported something unexpected."""

    code = "smoke-test"


class UsageError(KitbagError):
    """The command line asks for something that makes no sense or does not exist."""

    code = "usage"
    exit_status = 2


class IntegrityError(KitbagError):
    """Something is not what it says it is."""

    code = "integrity"
    exit_status = 3


class BundleError(IntegrityError):
    """The bundle breaks a rule of its format."""

    code = "bundle"


class UnsupportedFormat(BundleError):
    """The bundle needs an ability that this kitbag does not have."""

    code = "unsupported-format"


class DigestMismatch(IntegrityError):
    """Bytes do not have the digest that was promised for them."""

    code = "digest"


class ArchiveError(IntegrityError):
    """The archive of a build is damaged, forbidden or differs from its contents list."""

    code = "archive"


class NoMatch(KitbagError):
    """No build matches the request."""

    code = "no-match"
    exit_status = 4


class DoesNotFit(KitbagError):
    """The target cannot take or run what was asked for.

    ``points`` are the preflight's, as plain tables: ``code``, ``message``, ``advice``.
    """

    code = "does-not-fit"
    exit_status = 5

    def __init__(self, message: str, points: Sequence[Mapping[str, object]] = ()) -> None:
        """Tell ``message``, which has ``points`` in it if they are known one by one."""
        super().__init__(message)
        self.points = tuple(points)

    def table(self) -> dict[str, object]:
        """The error as JSON tells it, with each point by itself."""
        return {**super().table(), **({"points": list(self.points)} if self.points else {})}


class Interrupted(KitbagError):
    """The person or the system asked to stop."""

    code = "interrupted"
    exit_status = 130


def error_of(code: str, message: str) -> KitbagError:
    """The error with this ``code``, as when one process tells another."""
    waiting = [KitbagError]
    while waiting:
        kind = waiting.pop()
        if kind.code == code:
            return kind(message)
        waiting += kind.__subclasses__()
    return KitbagError(message)


_IN_USE = (5, 32)
"""Windows' ERROR_ACCESS_DENIED and ERROR_SHARING_VIOLATION: nothing in use can be moved there."""


def file_system_error(error: OSError, what: str) -> FileSystemError:
    """``error`` as one line: which file or directory, what is wrong, what to do."""
    import errno

    # The second of two paths is the one that could not be made; of a link the first is its text.
    named = error.filename if error.filename2 is None else error.filename2
    path = what if named is None else named
    if isinstance(path, bytes):
        path = path.decode("utf-8", "replace")
    cures = {
        errno.ENOSPC: "free some space or inodes there, or choose another place",
        errno.EDQUOT: "the quota is used up; free some space there, or choose another place",
        errno.EACCES: "check the permissions, or choose another place",
        errno.EPERM: "check the permissions, or choose another place",
        errno.EROFS: "choose a place that can be written",
        errno.EIO: "the device reports errors; check the medium",
        errno.ENAMETOOLONG: "choose a shorter path",
        errno.EMFILE: "raise the limit of open files (ulimit -n)",
    }
    cure = cures.get(error.errno or 0, "check that path")
    if getattr(error, "winerror", None) in _IN_USE:
        cure = "end the programs that run from there or have it open, or check the permissions"
    return FileSystemError(f"{path}: {error.strerror or error}; {cure}")
