"""The bundle: its format, its reading and its checking.

Shared by the packer and the installer. Everything here runs from inside a bundle on whatever
CPython 3.9 or newer the target has, so it imports the standard library alone (and ``tomli``, which
the bundle carries, where ``tomllib`` is missing). It never prints, prompts or exits.
"""

__version__ = "0.1.0"
