"""Tell what is in a bundle.

Reads the manifest and the lists, after checking that the bundle is whole in structure; it runs
nothing and writes nothing. For every byte use "kitbag verify".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitbag_installer.cli.options import add_output

if TYPE_CHECKING:
    import argparse

    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.environments import Environment
    from kitbag_bundles.manifest import Build, Manifest
    from kitbag_bundles.reporting import Reporter
    from kitbag_installer.hosts import Host

EPILOG = """\
examples:
  kitbag show tools.kitbag
  kitbag show tools.kitbag --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "bundle", metavar="BUNDLE", help="a bundle, or a directory it was unzipped to"
    )
    add_output(parser)


def run(options: argparse.Namespace, reporter: Reporter) -> int:
    """Do it; returns the exit status."""
    from kitbag_bundles.bundle import Bundle
    from kitbag_installer.cli.terminal import write_json
    from kitbag_installer.hosts import this_host

    host = this_host()
    with Bundle.open(options.bundle) as bundle:
        if options.json:
            from kitbag_bundles.implementations import implementation_of
            from kitbag_bundles.manifest import to_table

            table = to_table(bundle.manifest)
            table["host"] = str(host)
            table["fits"] = {
                str(build.key): not (host.unfit(build.key) or host.lacks(build))
                for build in bundle.manifest.builds
            }
            if bundle.manifest.environments:
                table["environments-fit"] = _fitting(bundle.manifest, host)
            table["licences"] = {
                str(build.key): licence
                for build in bundle.manifest.builds
                if (licence := implementation_of(build.key).licence(build.flavor))
            }
            table["members"] = {name: bundle.size_of(name) for name in bundle.names()}
            write_json(table)
        else:
            _render(bundle, host)
    return 0


def title(manifest: Manifest, size: int) -> str:
    """What the bundle is, in one line or two; ``size`` in bytes, 0 if it is not to be told."""
    from kitbag_bundles.manifest import install_table
    from kitbag_installer.cli.terminal import human_size

    name = " ".join(part for part in (manifest.name, manifest.version) if part) or "a bundle"
    text = f"{name}: {human_size(size) + ', ' if size else ''}made by kitbag {manifest.kitbag}"
    said = install_table(manifest.install).get("install", {})
    if said:
        words = ", ".join(f"{name} = {str(value).lower()}" for name, value in said.items())
        text += f"\ninstalls with {words}"
    return text


def counted(manifest: Manifest) -> str:
    """How much a bundle holds: ``2 builds``, ``1 build, 1 environment, 3 wheels``."""
    counts = {
        "build": len(manifest.builds),
        "environment": len(manifest.environments),
        "wheel": len(manifest.wheels),
    }
    found = [f"{count} {name}{'s'[: count != 1]}" for name, count in counts.items() if count]
    return ", ".join(found) or "0 builds"


def _render(bundle: Bundle, host: Host) -> None:
    from kitbag_installer.cli.terminal import write_line

    manifest = bundle.manifest
    write_line(title(manifest, bundle.size))
    told = [
        (str(build.key), facts(build), host.unfit(build.key) or host.lacks(build))
        for build in manifest.builds
    ]
    told += [
        (
            f"environment {each.name}",
            environment_facts(manifest, each),
            _misfit(manifest, each, host),
        )
        for each in manifest.environments
    ]
    for heading, known, reason in told:
        write_line("")
        write_line(heading)
        for label, text in known:
            write_line(f"  {label:<10}{text}")
        write_line(f"  {'here':<10}{'does not fit: ' + reason if reason else 'fits this host'}")


def _fitting(manifest: Manifest, host: Host) -> dict[str, dict[str, bool]]:
    """Whether each environment can be here, by its name and by what it is for."""
    found: dict[str, dict[str, bool]] = {}
    for each in manifest.environments:
        by_place = found.setdefault(each.name, {})
        by_place[str(each.python or each.target)] = not _misfit(manifest, each, host)
    return found


def _misfit(manifest: Manifest, environment: Environment, host: Host) -> str:
    """Why an environment can't be here, as a clause; empty if it can."""
    from kitbag_bundles.keys import BuildKey, Target, Version

    key = environment.python
    build = manifest.build(key) if key else None
    if key is None:
        # Any Python of the target will do.
        key = BuildKey("cpython", Version(3, 0, 0), "", Target.parse(environment.target))
    reason = host.unfit(key) or (host.lacks(build) if build else "")
    needed, has = environment.glibc, host.libc_version
    if not reason and needed and has and _numbers(needed) > _numbers(has):
        reason = f"it needs glibc {needed}, this system has {has}"
    return reason


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdecimal()]


def _bytecode(build: Build) -> str:
    from kitbag_installer.cli.terminal import human_size

    made = build.bytecode
    if made is None:
        return ""
    return f"{made.files} files by {made.maker}, {made.mode} ({human_size(made.size)})"


def facts(build: Build) -> list[tuple[str, str]]:
    """What there is to tell of a build, as labels and texts; the shell header tells the same."""
    from kitbag_bundles.implementations import implementation_of
    from kitbag_installer.cli.terminal import human_size

    payload, needs = build.payload, build.needs
    wanted = [f"glibc {needs.glibc}" if needs.glibc else "", needs.cpu, needs.os, *needs.libraries]
    archive = payload.member.rpartition("/")[2]
    facts = [
        ("archive", f"{archive} ({human_size(payload.size)})"),
        ("sha256", payload.sha256),
        ("unpacked", f"{human_size(build.unpacked_size)} in {build.files} files and folders"),
        ("release", " ".join(part for part in (build.release, build.flavor) if part)),
        ("needs", ", ".join(part for part in wanted if part)),
        ("bytecode", _bytecode(build)),
        ("from", build.url),
        ("licence", implementation_of(build.key).licence(build.flavor)),
        ("role", "starts the installer; installed only on request" if build.bootstrap else ""),
    ]
    return [(label, text) for label, text in facts if text]


def environment_facts(manifest: Manifest, environment: Environment) -> list[tuple[str, str]]:
    """What there is to tell of an environment; the shell header tells the same."""
    from kitbag_installer.cli.terminal import human_size

    wheels = manifest.wheels_of(environment)
    size = human_size(sum(wheel.size for wheel in wheels))
    unpacked = human_size(sum(wheel.unpacked_size for wheel in wheels))
    built = sum(wheel.built for wheel in wheels)
    count = f"{len(wheels)} ({size}, {unpacked} unpacked)"
    python = environment.python or f"{environment.python_version} on {environment.target}"
    os = environment.target.partition("-")[0]
    wanted = [
        f"glibc {environment.glibc}" if environment.glibc else "",
        f"{os} {environment.os}" if environment.os else "",
    ]
    facts = [
        ("python", f"{python}{'' if environment.python else ', which is not in the bundle'}"),
        ("wheels", f"{count}, {built} of them built when packing" if built else count),
        ("packages", ", ".join(f"{wheel.name} {wheel.version}" for wheel in wheels)),
        ("runs", environment.run),
        ("exposes", ", ".join(environment.expose)),
        ("needs", ", ".join(part for part in wanted if part)),
    ]
    return [(label, text) for label, text in facts if text]
