"""Tell what is in a bundle.

Reads the manifest and the lists, after checking that the bundle is whole in structure; it runs
nothing and writes nothing. For every byte use "kitbag verify".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kitbag_installer.cli.options import add_output

if TYPE_CHECKING:
    import argparse

    from kitbag_bundles.bundle import Bundle
    from kitbag_bundles.manifest import Build, Manifest
    from kitbag_bundles.reporting import Reporter

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


def _render(bundle: Bundle, host: Any) -> None:
    from kitbag_installer.cli.terminal import write_line

    manifest = bundle.manifest
    write_line(title(manifest, bundle.size))
    for build in manifest.builds:
        write_line("")
        write_line(f"{build.key}")
        for label, text in facts(build):
            write_line(f"  {label:<10}{text}")
        reason = host.unfit(build.key) or host.lacks(build)
        write_line(f"  {'here':<10}{'does not fit: ' + reason if reason else 'fits this host'}")


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
