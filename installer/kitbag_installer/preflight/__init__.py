"""What can be known of an install before its first write: whether it would work, and what it does.

Nothing here writes, but for :mod:`kitbag_installer.preflight.probing`, which tries in the root's
temporary directory what no question to the system answers.
"""
