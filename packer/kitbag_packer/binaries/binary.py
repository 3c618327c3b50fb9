"""The facts about a binary that all three forms have in common."""

from __future__ import annotations

from dataclasses import dataclass


class BadBinary(ValueError):
    """A file begins as a native binary but its headers make no sense."""


@dataclass(frozen=True)
class Binary:
    """One native executable or shared library, for one architecture."""

    os: str
    """``linux`` for ELF, ``macos`` for Mach-O, ``windows`` for PE."""
    arch: str
    """In the words of build keys: ``x86_64``, ``aarch64``, ``armv7``, …; empty when unknown."""
    libc: str = ""
    """ELF: ``gnu``, ``gnueabihf``, ``musl``, …; empty if it can't be told. Others: ``none``."""
    interpreter: str = ""
    """ELF: the path of the loader in PT_INTERP; a static or shared object has none."""
    name: str = ""
    """Its name as a library: ELF soname, Mach-O install name, else empty."""
    needed: tuple[str, ...] = ()
    """Libraries that must be there, as the binary spells them; weak ones are left out."""
    glibc: tuple[int, ...] = ()
    """The newest glibc version that it asks for, such as ``(2, 17)``."""
    least_os: tuple[int, ...] = ()
    """The least macOS version, or the Windows NT version of the PE header."""

    def suits(self, os: str, cpu: str) -> bool:
        """Whether it is made for this system and CPU; ARM's headers do not tell v6 from v7."""
        same_cpu = cpu == self.arch or (self.arch == "armv7" and cpu.startswith("armv"))
        return self.os == os and same_cpu
