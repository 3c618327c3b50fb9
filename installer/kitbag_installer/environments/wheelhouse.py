"""What pip and uv need of an environment beside its wheels: requirements with hashes, and a lock.

::

    wheels/<filename>                            each wheel once, whoever uses it
    requirements-<environment>-<target>.txt      for pip, with hashes
    pylock.<environment>-<target>.toml           for uv and pip (PEP 751); paths from where it lies

Where a bundle has an environment for several builds of one target, the key of the build stands in
the place of the target.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kitbag_bundles.errors import BundleError
from kitbag_bundles.members import WHEELS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from kitbag_bundles.environments import Environment, Wheel

_PROJECT = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9]+([.!+_-][A-Za-z0-9]+)*", re.ASCII)
_MINOR = re.compile(r"(\d+\.\d+)(?![\d])", re.ASCII)
_REQUIREMENTS = ("requirements-", ".txt")
_LOCK = ("pylock.", ".toml")
_SHA256 = re.compile(rb"\bsha256(?: = \"|:)([0-9a-f]{64})\b")
# As sys.platform has them; machines have too many names to tell one by.
_PLATFORMS = {"linux": "linux", "macos": "darwin", "windows": "win32", "emscripten": "emscripten"}


def place_of_wheel(wheel: Wheel) -> str:
    """Where a wheel lies in an export."""
    return WHEELS + wheel.filename


def label_of(environment: Environment, others: Collection[Environment]) -> str:
    """What tells it from all environments of its bundle: ``app-linux-x86_64-gnu``."""
    mine = [
        each
        for each in others
        if (each.name, each.target) == (environment.name, environment.target)
    ]
    if len(mine) > 1 and environment.python is not None:
        return f"{environment.name}-{environment.python}"
    return f"{environment.name}-{environment.target}"


def place_of_requirements(label: str) -> str:
    """Where the requirements of the environment with this label lie in an export."""
    return label.join(_REQUIREMENTS)


def place_of_lock(label: str) -> str:
    """Where its lock does; PEP 751 has no dots between ``pylock.`` and ``.toml``."""
    return label.replace(".", "_").join(_LOCK)


def labels_among(places: Collection[str]) -> list[str]:
    """The labels of the environments whose requirements are among ``places``, sorted."""
    start, end = _REQUIREMENTS
    return sorted(
        place[len(start) : -len(end)]
        for place in places
        if place.startswith(start) and place.endswith(end) and "/" not in place
    )


def requirements_text(environment: Environment, wheels: Sequence[Wheel]) -> bytes:
    """Every wheel with its hash, for ``pip install --require-hashes``."""
    lines = [
        f"{wheel.name}=={wheel.version} \\\n    --hash=sha256:{wheel.sha256}\n"
        for wheel in _in_order(wheels)
    ]
    return f"# {environment.name}: {_about(environment)}\n{''.join(lines)}".encode("ascii")


def lock_text(environment: Environment, wheels: Sequence[Wheel]) -> bytes:
    """The same as a lock (https://packaging.python.org/en/latest/specifications/pylock-toml/)."""
    lines = [
        f"# {environment.name}: {_about(environment)}",
        'lock-version = "1.0"',
        *_limits(environment),
        'created-by = "kitbag"',
    ]
    if not wheels:
        lines.append("packages = []")
    for wheel in _in_order(wheels):
        lines += [
            "",
            "[[packages]]",
            f'name = "{wheel.name}"',
            f'version = "{wheel.version}"',
            "[[packages.wheels]]",
            f'name = "{wheel.filename}"',
            f'path = "{place_of_wheel(wheel)}"',
            f"size = {wheel.size}",
            f'hashes = {{ sha256 = "{wheel.sha256}" }}',
        ]
    return ("\n".join(lines) + "\n").encode("ascii")


def hashes_in(text: bytes) -> frozenset[bytes]:
    """The hashes of wheels in a text of :func:`requirements_text` or :func:`lock_text`."""
    return frozenset(_SHA256.findall(text))


def _in_order(wheels: Sequence[Wheel]) -> list[Wheel]:
    """By their names; raises :class:`BundleError` for one that would be more than a name."""
    for wheel in wheels:
        if not _PROJECT.fullmatch(wheel.name) or not _VERSION.fullmatch(wheel.version):
            raise BundleError(
                f"{wheel.filename}: {wheel.name!r} {wheel.version!r} is no project and version; "
                "the bundle is damaged, or its maker means ill"
            )
    return sorted(wheels, key=lambda wheel: (wheel.name, wheel.version, wheel.filename))


def _about(environment: Environment) -> str:
    minor = _minor(environment)
    return environment.target + (f", Python {minor}" if minor else "")


def _minor(environment: Environment) -> str:
    found = _MINOR.match(environment.python_version)
    return found.group(1) if found else ""


def _limits(environment: Environment) -> list[str]:
    """What the wheels were chosen for, so that a tool elsewhere says so and installs nothing."""
    lines = []
    platform = _PLATFORMS.get(environment.target.partition("-")[0])
    if platform:
        lines.append(f"environments = [\"sys_platform == '{platform}'\"]")
    minor = _minor(environment)
    if minor:
        lines.append(f'requires-python = "=={minor}.*"')
    return lines
