"""Where things may be written: what a person typed, and what is wrong with it."""

from __future__ import annotations

import os


def expanded(text: str) -> str:
    """What a person typed as a path."""
    return os.path.expanduser(text.strip())


def check_file(text: str) -> str:
    """What is wrong with a file to write; empty if nothing is."""
    path = expanded(text)
    if not path:
        return "type the name of a file"
    if os.path.isdir(path) or text.strip().endswith("/"):
        return f"{path} is a folder; type the name of a file in it"
    return _check_parent(path)


def check_folder(text: str) -> str:
    """What is wrong with a folder to make; empty if nothing is."""
    path = expanded(text)
    if not path:
        return "type the name of a folder"
    if os.path.isdir(path):
        try:
            full = bool(os.listdir(path))
        except OSError:
            return f"{path} can't be read; type another name"
        return f"{path} is not empty; type another name" if full else ""
    if os.path.lexists(path):
        return f"{path} is a file; type another name"
    return _check_parent(path)


def _check_parent(path: str) -> str:
    parent = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(parent):
        return f"there is no folder {parent}; make it first, or type another name"
    if not os.access(parent, os.W_OK):
        return f"{parent} can't be written; type another name"
    return ""
