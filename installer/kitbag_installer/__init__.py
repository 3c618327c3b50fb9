"""The target side: installs builds from a bundle and looks after them.

Rides inside every bundle together with :mod:`kitbag_bundles` and lives under the same terms: the
standard library alone, CPython 3.9 or newer. Only :mod:`kitbag_installer.cli` prints and exits.
"""
