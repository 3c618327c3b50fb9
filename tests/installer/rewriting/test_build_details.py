from __future__ import annotations

import json
import os.path

from kitbag_installer.rewriting import build_details

from . import texts


def test_paths_below_the_prefix_become_relative() -> None:
    new = build_details.rewrite(texts.build_details("3.14"))
    details = json.loads(new)
    assert details == {
        "schema_version": "1.0",
        "base_prefix": "../..",
        "base_interpreter": "./bin/python3.14",
        "libpython": {"dynamic": "./lib/libpython3.14.so.1.0"},
        "c_api": {"headers": "./include/python3.14", "pkgconfig_path": "lib/x"},
    }
    # PEP 739: base_prefix is relative to the file, the others to base_prefix.
    base = os.path.normpath(os.path.join("/h/lib/python3.14", details["base_prefix"]))
    assert os.path.normpath(os.path.join(base, details["base_interpreter"])) == "/h/bin/python3.14"


def test_a_relative_file_and_look_alikes_stay() -> None:
    text = build_details.rewrite(texts.build_details("3.14"))
    assert build_details.rewrite(text) == text
    other = '{"base_prefix": "/installer", "x": "a/install/b", "y": "/usr/install"}'
    assert build_details.rewrite(other) == other
