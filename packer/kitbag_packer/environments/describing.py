"""Finished environments as the manifest describes them, and as a person is told of them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from kitbag_bundles.environments import Environment, is_program_name
from kitbag_bundles.errors import KitbagError, UsageError
from kitbag_packer.environments.leasts import least_glibc, least_macos
from kitbag_packer.environments.model import DIRECTORY, PROJECT
from kitbag_packer.errors import raise_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kitbag_bundles.environments import Wheel
    from kitbag_packer.environments.model import Ready, WheelFile
    from kitbag_packer.reporting import Reporter
    from kitbag_packer.sources import MemberSource

_SHOWN = 8


def described(ready: Sequence[Ready], reporter: Reporter) -> tuple[Environment, ...]:
    """The environments, in the order of ``ready``.

    Raises :class:`UsageError` for programs that are not there, in all of them at once.
    """
    failures: list[KitbagError] = []
    found = []
    for each in ready:
        try:
            found.append(_described(each))
        except UsageError as error:
            failures.append(error)
    raise_all(failures, reporter, "environments have no such program, see above")
    return tuple(found)


def shared(ready: Iterable[Ready]) -> tuple[WheelFile, ...]:
    """Every wheel of ``ready`` once, in bytewise order of the names.

    Raises :class:`UsageError` for two of one name that differ, and for names that differ in case
    alone, which are one name on many systems.
    """
    found: dict[str, WheelFile] = {}
    for each in ready:
        for file in each.wheels:
            wheel = file.wheel
            other = found.setdefault(wheel.filename.lower(), file).wheel
            if (other.filename, other.sha256) != (wheel.filename, wheel.sha256):
                raise UsageError(
                    f"{wheel.filename}: environments have two different wheels of this name, "
                    f"{_origin(other)} and {_origin(wheel)}; make them agree on one"
                )
            if other.direct_url != wheel.direct_url:
                # One environment has it from an index, or from elsewhere: no address is all theirs.
                plain = dataclasses.replace(other, direct_url="")
                found[wheel.filename.lower()] = dataclasses.replace(file, wheel=plain)
    return tuple(sorted(found.values(), key=lambda file: file.wheel.filename))


def wheel_member(file: WheelFile) -> MemberSource:
    """A wheel as a member of the bundle."""
    from kitbag_packer.sources import file_member

    wheel = file.wheel
    return file_member(wheel.member, file.path, sha256=wheel.sha256, crc32=file.crc32)


def tell(ready: Iterable[Ready], reporter: Reporter) -> None:
    """Say how much is in each."""
    from kitbag_installer.cli.terminal import human_size

    for each in ready:
        count, size = len(each.wheels), sum(file.wheel.size for file in each.wheels)
        built = sum(file.wheel.built for file in each.wheels)
        made = f", {built} of them built" if built else ""
        reporter.info(f"{title(each)}: {count} wheel{'s'[: count != 1]}{made}, {human_size(size)}")


def title(ready: Ready) -> str:
    """What messages call it: ``app for cpython-3.13.5-linux-x86_64-gnu``."""
    place = ready.planned.made_for
    return f"{ready.planned.spec.name} for {place.key or f'{place.version} on {place.target}'}"


def _origin(wheel: Wheel) -> str:
    return wheel.url or ("one that was built" if wheel.built else "a local one")


def _described(ready: Ready) -> Environment:
    spec, place = ready.planned.spec, ready.planned.made_for
    return Environment(
        name=spec.name,
        target=str(place.target),
        python=place.key,
        python_version=place.version,
        wheels=tuple(file.wheel.filename for file in ready.wheels),
        expose=_exposed(ready),
        run=_program(ready),
        glibc=least_glibc(ready),
        os=least_macos(ready),
    )


def _exposed(ready: Ready) -> tuple[str, ...]:
    wanted = tuple(sorted(set(ready.planned.spec.expose)))
    scripts = {name for file in ready.wheels for name in file.scripts}
    for name in wanted:
        if name not in scripts:
            raise UsageError(_unknown(ready, "--expose", name))
    return wanted


def _program(ready: Ready) -> str:
    """What ``kitbag run`` starts: what was said, the name's own, or the project's only one."""
    spec = ready.planned.spec
    scripts = {name for file in ready.wheels for name in file.scripts}
    if spec.run:
        if spec.run not in scripts:
            raise UsageError(_unknown(ready, "--run", spec.run))
        return spec.run
    if spec.name in scripts:
        return spec.name
    own = [name for file in _own(ready) for name in file.scripts]
    return own[0] if len(own) == 1 and is_program_name(own[0]) else ""


def _own(ready: Ready) -> Iterator[WheelFile]:
    """The wheels of the project itself, which is a directory in its lock."""
    if ready.planned.spec.kind != PROJECT:
        return
    names = {
        pick.name
        for pick in ready.planned.picks
        if pick.kind == DIRECTORY and pick.path == str(ready.planned.spec.path)
    }
    yield from (file for file in ready.wheels if file.wheel.name in names)


def _unknown(ready: Ready, option: str, name: str) -> str:
    scripts = sorted({script for file in ready.wheels for script in file.scripts})
    there = ", ".join(scripts[:_SHOWN]) + (", …" if scripts[_SHOWN:] else "")
    return (
        f"{title(ready)} has no console script {name!r} to {option.lstrip('-')}; "
        f"{f'there is {there}' if there else 'its wheels have none'}"
    )
