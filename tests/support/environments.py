"""Bundles with environments: a bundle that is there, and wheels beside its builds.

::

    wheel = make_wheel(folder, "app", scripts={"app": "app:main"})
    with_environments(path, bundle, {"app": [wheel]}, expose={"app": ["app"]})
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

from kitbag_bundles.bundle import Bundle
from kitbag_bundles.environments import Environment, Wheel
from kitbag_bundles.manifest import ENVIRONMENTS
from kitbag_bundles.reporting import SilentReporter
from kitbag_packer.sources import bytes_member, file_member
from kitbag_packer.writing import assemble, write_bundle

from . import crafting
from .compilable import COMPILES
from .members import below, write_archive
from .tiny import tiny_members, tiny_name
from .wheels import sha256_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from kitbag_bundles.keys import BuildKey

# What the tiny interpreter answers when it is asked where it is, as a script of an environment.
_TELLS_ITS_PLACE = r"""#!/bin/sh
case "$*" in *base_prefix*)
    home=$(cd -- "${0%/*}/.." && pwd -P)
    base=$(sed -n 's/^home = //p' "$home/pyvenv.cfg")
    printf '\n%s\000%s' "$home" "${base%/bin}"
    exit 0 ;;
esac
"""


def tiny_base(path: Path, *versions: str) -> Path:
    """Write at `path` a bundle of tiny builds with which environments can be made and compiled."""
    head = COMPILES + _TELLS_ITS_PLACE.partition("\n")[2]
    packed = []
    for version in versions or ("3.13.5",):
        minor = ".".join(version.split(".")[:2])
        members = [
            one._replace(data=one.data.replace(b"#!/bin/sh\n", head.encode(), 1))
            if one.path == f"bin/python{minor}"
            else one
            for one in tiny_members(version)
        ]
        archive = path.parent / "archives" / tiny_name(version)
        archive.parent.mkdir(parents=True, exist_ok=True)
        write_archive(below("python", members), archive, ".tar.gz")
        packed.append(crafting.inspected(archive, crafting.host_key(version)))
    return crafting.write(path, *packed)


def wheel_facts(path: Path) -> Wheel:
    """What a manifest says of the wheel at `path`, whatever is wrong with it."""
    parts = path.name.split("-")
    files, longest, size = 0, 0, 0
    try:
        with zipfile.ZipFile(path) as archive:
            members = [each for each in archive.infolist() if not each.is_dir()]
            files = len(members)
            longest = max((len(each.filename.encode()) for each in members), default=0)
            size = sum(each.file_size for each in members)
    except zipfile.BadZipFile:
        pass
    return Wheel(
        filename=path.name,
        name=re.sub(r"[-_.]+", "-", parts[0]).lower(),
        version=parts[1],
        size=path.stat().st_size,
        sha256=sha256_of(path),
        url="",
        built=False,
        unpacked_size=size,
        files=files,
        longest_path=longest,
    )


def environment_for(
    name: str, key: BuildKey | None, wheels: Sequence[Path], target: str = "", **more: object
) -> Environment:
    """What a manifest says of an environment of `wheels` for the build `key`."""
    return Environment(
        name=name,
        target=target or str(key.target if key else ""),
        python=key,
        python_version=str(key.version) if key else "3.13",
        wheels=tuple(sorted(each.name for each in wheels)),
        **more,  # type: ignore[arg-type]
    )


def with_environments(
    path: Path,
    bundle: Path,
    wheels: Mapping[str, Sequence[Path]],
    *,
    expose: Mapping[str, Sequence[str]] | None = None,
    run: Mapping[str, str] | None = None,
    environments: Sequence[Environment] | None = None,
    version: str = "",
) -> Path:
    """Write at `path` what is in `bundle`, and the environments whose `wheels` are given by name.

    Each is for every build of the bundle, unless `environments` says what there is.
    """
    files = {each.name: each for listed in wheels.values() for each in listed}
    with Bundle.open(bundle) as old:
        made = old.manifest
        found = environments
        if found is None:
            found = [
                environment_for(
                    name,
                    build.key,
                    listed,
                    expose=tuple(sorted((expose or {}).get(name, ()))),
                    run=(run or {}).get(name, ""),
                )
                for name, listed in wheels.items()
                for build in made.builds
            ]
        made = replace(
            made,
            requires=(ENVIRONMENTS,),
            version=version or made.version,
            wheels=tuple(wheel_facts(files[name]) for name in sorted(files)),
            environments=tuple(sorted(found, key=Environment.order)),
        )
        payloads = []
        for build in made.builds:
            with old.open_payload(build) as stream:
                payloads.append(bytes_member(build.payload.member, stream.read()))
        members = assemble(
            made,
            {str(build.key): old.read(build.contents_member) for build in made.builds},
            payloads,
            old.installer(),
            [],
            [file_member(f"wheels/{name}", files[name]) for name in sorted(files)],
        )
    # Without a shell header: that of the old bundle knows where things are in that one.
    write_bundle(path, members, header=b"", reporter=SilentReporter())
    return path
