import hashlib

import pytest

from kitbag_bundles.errors import UsageError
from kitbag_bundles.keys import Target
from kitbag_packer.recipes.environments import EnvironmentOptions
from kitbag_packer.recipes.packages import EnvironmentPin
from kitbag_packer.recipes.sourcing import changed, chosen_by, source_digest


def pin_of(options: EnvironmentOptions, folder) -> EnvironmentPin:
    target = Target.parse("windows-x86_64")
    return EnvironmentPin("app", None, target, "3.13", chosen_by(options, folder), ())


def test_line_ends_do_not_count(tmp_path):
    options = EnvironmentOptions("app", requirements="r.txt")
    (tmp_path / "r.txt").write_bytes(b"a\nb\n")
    unix = source_digest(options, tmp_path)
    assert unix == hashlib.sha256(b"a\nb\n").hexdigest()
    (tmp_path / "r.txt").write_bytes(b"a\r\nb\r\n")
    assert source_digest(options, tmp_path) == unix


def test_requirements_that_include_others(tmp_path):
    options = EnvironmentOptions("app", requirements="r.txt")
    (tmp_path / "r.txt").write_text("a==1\n")
    alone = source_digest(options, tmp_path)
    (tmp_path / "r.txt").write_text("a==1\n-r more/s.txt\n  --constraint=c.txt\n")
    named = source_digest(options, tmp_path)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "s.txt").write_text("-r ../r.txt\n")
    (tmp_path / "c.txt").write_text("b==1\n")
    whole = source_digest(options, tmp_path)
    (tmp_path / "c.txt").write_text("b==2\n")
    assert len({alone, named, whole, source_digest(options, tmp_path)}) == 4


def test_what_tells_of_a_project(tmp_path):
    options = EnvironmentOptions("app", project=".")
    assert source_digest(options, tmp_path) == ""
    (tmp_path / "pyproject.toml").write_text("1")
    alone = source_digest(options, tmp_path)
    (tmp_path / "setup.py").write_text("2")
    both = source_digest(options, tmp_path)
    (tmp_path / "uv.lock").write_text("3")
    locked = source_digest(options, tmp_path)
    assert len({alone, both, locked}) == 3
    by_file = EnvironmentOptions("app", project="pyproject.toml")
    assert source_digest(by_file, tmp_path) == locked


def test_of_a_uv_lock_what_it_is_made_from_counts_too(tmp_path):
    options = EnvironmentOptions("app", project=".")
    described = '[project]\nname = "a"\ndependencies = ["b"]\n'
    (tmp_path / "uv.lock").write_text("1")

    def digest(text):
        (tmp_path / "pyproject.toml").write_text(text)
        return source_digest(options, tmp_path)

    before = digest(described)
    assert digest(f"# as before\n{described}[tool.other]\nx = 1\n") == before
    others = [
        digest(described.replace('"b"', '"b", "c"')),
        digest(f"{described}[dependency-groups]\ndev = []\n"),
        digest(f"{described}[tool.uv]\ndefault-groups = []\n"),
        digest("not toml"),
    ]
    assert len({before, *others}) == 5
    (tmp_path / "pylock.toml").write_text("1")
    (tmp_path / "uv.lock").unlink()
    assert digest(described) == digest("not toml")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (EnvironmentOptions("app", project="."), "project: .* has no pyproject.toml and no lock"),
        (EnvironmentOptions("app", project="x"), "project: .*x is not there; correct its path"),
        (EnvironmentOptions("app", lock="pylock.toml"), r"lock: .*pylock\.toml is not there"),
    ],
)
def test_what_has_nothing_to_lock(tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        chosen_by(options, tmp_path)


@pytest.mark.parametrize(
    ("options", "reasons"),
    [
        (EnvironmentOptions("app", lock="a.txt"), []),
        (EnvironmentOptions("app", lock="a.txt", expose=("x",), run="x"), []),
        (
            EnvironmentOptions("app", requirements="a.txt"),
            ["from lock a.txt, not req"],
        ),
        (EnvironmentOptions("app", lock="b.txt"), ["from lock a.txt, not lock b.txt"]),
        (
            EnvironmentOptions("app", lock="a.txt", extras=("web",), groups=(), glibc="2.17"),
            [
                "with extras (none), not web",
                "with groups by default, not (none)",
                "with glibc (none), not 2.17",
            ],
        ),
    ],
)
def test_why_packages_are_others(tmp_path, options, reasons):
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(name)
    pin = pin_of(EnvironmentOptions("app", lock="a.txt"), tmp_path)
    found = list(changed(pin, options, tmp_path))
    assert len(found) == len(reasons)
    for reason, expected in zip(found, reasons, strict=True):
        assert reason.startswith(expected)


def test_a_list_that_changed_and_one_that_is_gone(tmp_path):
    options = EnvironmentOptions("app", lock="a.txt")
    (tmp_path / "a.txt").write_text("a")
    pin = pin_of(options, tmp_path)
    (tmp_path / "a.txt").write_text("b")
    assert list(changed(pin, options, tmp_path)) == ["from a.txt, which names other packages since"]
    (tmp_path / "a.txt").unlink()
    assert list(changed(pin, options, tmp_path)) == []


def test_the_order_of_extras_does_not_count(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    pin = pin_of(EnvironmentOptions("app", lock="a.txt", extras=("x", "y")), tmp_path)
    assert not [*changed(pin, EnvironmentOptions("app", lock="a.txt", extras=("y", "x")), tmp_path)]
