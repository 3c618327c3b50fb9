"""Which build an archive holds: what its name or its user says, held against what is inside.

A key that is wrong installs a Python under a false name, so any contradiction ends the work. What
nobody says is filled in from the inside, and what the inside can't tell (the CPU level, the libc
of a static executable) is believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kitbag_bundles import layout
from kitbag_bundles.errors import ArchiveError, UsageError
from kitbag_bundles.implementations import implementation_named, implementation_of
from kitbag_bundles.keys import BuildKey, Target, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kitbag_packer.binaries import Binary
    from kitbag_packer.evidence import Evidence
    from kitbag_packer.upstream import UpstreamName

__all__ = ["Identity", "identify"]


class Identity(NamedTuple):
    """The build that an archive holds."""

    key: BuildKey
    executable: str
    """The path of the interpreter's own file; links are followed."""
    notes: tuple[str, ...]


class _Claim(NamedTuple):
    """What a person or a name says; every part may be unknown."""

    who: str
    implementation: str
    version: Version | None
    minor: str
    variant: str
    target: Target


def identify(
    filename: str,
    *,
    name: UpstreamName | None,
    key: BuildKey | None,
    evidence: Evidence,
    find_file: Callable[[str], str],
    programs: Sequence[str],
    binaries: Mapping[str, Sequence[Binary]],
) -> Identity:
    """Settle the key of a build.

    ``find_file`` follows links of the tree to the path of a file, or to the empty text;
    ``programs`` are the paths that look like interpreters; ``binaries`` what is known of native
    files, by path. Raises :class:`ArchiveError` for a contradiction or a missing executable, and
    :class:`UsageError` when only ``--key`` can tell what it is.
    """
    claims = _claims(name, key)
    _check_claims(filename, claims)
    for claim in claims:
        _check_inside(filename, claim, evidence)
    notes: list[str] = []
    base = key or _derive(filename, name, evidence, find_file, programs, binaries, notes)
    executable = _executable(filename, base, find_file, programs, notes)
    found = binaries.get(executable, ())
    if not found and implementation_of(base).program is None:
        _accept_script(filename, key, executable, notes)
    if found and not any(_fits(binary, base.target) for binary in found):
        raise ArchiveError(
            f"{filename}: {_who(claims)} says {base.target}, but {executable} inside is for"
            f" {_platforms(found)}; do not use this archive"
        )
    return Identity(base, executable, tuple(notes))


def _claims(name: UpstreamName | None, key: BuildKey | None) -> list[_Claim]:
    claims = []
    if key:
        claims.append(
            _Claim(
                "the key",
                key.implementation,
                key.version,
                key.version.minor_text,
                key.variant,
                key.target,
            )
        )
    if name:
        claims.append(
            _Claim(
                "the name",
                name.implementation,
                name.version,
                name.minor,
                name.variant,
                name.target,
            )
        )
    return claims


def _check_claims(filename: str, claims: list[_Claim]) -> None:
    """The key that was asked for must not contradict the name of the file."""
    if len(claims) < 2:
        return
    ours, theirs = claims
    for one, two in (
        (ours.implementation, theirs.implementation),
        (ours.version, theirs.version or ours.version),
        (ours.minor, theirs.minor or ours.minor),
        (ours.variant, theirs.variant),
        (ours.target, theirs.target),
    ):
        if one != two:
            raise ArchiveError(
                f"{filename}: the key says {_word(one)}, the name says {_word(two)};"
                " give the right --key or rename the file"
            )


def _check_inside(filename: str, claim: _Claim, evidence: Evidence) -> None:
    """Hold a claim against everything that the tree says without its executable."""
    differences: list[tuple[object, object]] = []
    if evidence.implementation:
        differences.append((claim.implementation, evidence.implementation))
    exact = implementation_named(claim.implementation).exact_version
    if evidence.version and claim.version and exact:
        differences.append((claim.version, evidence.version))
    elif evidence.minors and claim.minor:
        inside = claim.minor if claim.minor in evidence.minors else max(evidence.minors)
        differences.append((claim.minor, inside))
    free_threaded, debug = "freethreaded" in claim.variant, "debug" in claim.variant
    for word, said, inside_flag in (
        ("freethreaded", free_threaded, evidence.free_threaded),
        ("debug", debug, evidence.debug),
    ):
        if inside_flag is not None:
            differences.append((_flag(word, said), _flag(word, inside_flag)))
    if evidence.target:
        differences.append((claim.target, evidence.target))
    for said_value, found_value in differences:
        if said_value != found_value:
            raise ArchiveError(
                f"{filename}: {claim.who} says {_word(said_value)}, inside is"
                f" {_word(found_value)}; do not use this archive under this name"
            )


def _derive(
    filename: str,
    name: UpstreamName | None,
    evidence: Evidence,
    find_file: Callable[[str], str],
    programs: Sequence[str],
    binaries: Mapping[str, Sequence[Binary]],
    notes: list[str],
) -> BuildKey:
    """The key by the name, with what the name leaves open from the inside."""
    implementation = name.implementation if name else evidence.implementation
    version = (name.version if name else None) or evidence.version
    made_up = implementation and not implementation_named(implementation).exact_version
    if version is None and made_up and len(evidence.minors) == 1:
        version = Version.parse(f"{min(evidence.minors)}.0")
        notes.append(f"the archive does not tell its patch version; taken as {version}")
    target = name.target if name else evidence.target
    if target is None and implementation == "pyodide":
        target = Target("emscripten", "wasm32", "musl")
    if target is None:
        target = _target_of(find_file, programs, binaries)
    if not implementation or version is None or target is None:
        raise UsageError(
            f"{filename}: neither the name nor the inside tells which build this is; say so with"
            f" --key, such as --key {_example(implementation, name, target)}"
        )
    flags = (("freethreaded", evidence.free_threaded), ("debug", evidence.debug))
    variant = name.variant if name else "+".join(word for word, is_set in flags if is_set)
    return BuildKey(implementation, version, variant, target)


def _example(implementation: str, name: UpstreamName | None, target: Target | None) -> str:
    """A key that is right as far as anything is known."""
    minor = (name.minor if name else "") or "3.13"
    return f"{implementation or 'cpython'}-{minor}.5-{target or 'linux-x86_64-gnu'}"


def _target_of(
    find_file: Callable[[str], str],
    programs: Sequence[str],
    binaries: Mapping[str, Sequence[Binary]],
) -> Target | None:
    """The one platform that all interpreters in the tree are for."""
    found = {
        Target(binary.os, binary.arch, binary.libc)
        for program in programs
        for binary in binaries.get(find_file(program), ())
        if binary.arch and binary.libc
    }
    return found.pop() if len(found) == 1 else None


def _executable(
    filename: str,
    key: BuildKey,
    find_file: Callable[[str], str],
    programs: Sequence[str],
    notes: list[str],
) -> str:
    expected = layout.executable(key)
    found = find_file(expected)
    if not found and key.free_threaded and key.target.os == "windows":
        # The first free-threaded builds (tag 20241016) came without a python.exe.
        fallback = f"python{key.version.minor_text}t.exe"
        found = find_file(fallback)
        if found:
            notes.append(f"there is no {expected}, only {fallback}")
    if not found:
        names = ", ".join(sorted(programs)[:8])
        hint = f"; there is {names}" if names else ""
        raise ArchiveError(
            f"{filename}: {key} should have {expected}, which is not in the archive{hint}"
        )
    return found


def _accept_script(filename: str, key: BuildKey | None, executable: str, notes: list[str]) -> None:
    if key is None:
        raise UsageError(
            f"{filename}: {executable} inside is no executable of a known form, so its platform"
            " can't be checked; if you are sure what it is, say so with --key"
        )
    notes.append(f"{executable} is no executable of a known form; the key is believed")


def _fits(binary: Binary, target: Target) -> bool:
    return binary.suits(target.os, target.cpu) and binary.libc in ("", target.libc)


def _platforms(found: Sequence[Binary]) -> str:
    return ", ".join(
        "-".join(part for part in (each.os, each.arch or "an unknown CPU", each.libc) if part)
        for each in found
    )


def _who(claims: list[_Claim]) -> str:
    return claims[0].who if claims else "PYTHON.json"


def _flag(word: str, is_set: bool) -> str:
    return word if is_set else f"not {word}"


def _word(value: object) -> str:
    return str(value) or "the default variant"
