import pytest

from kitbag_bundles.manifest import InstallDefaults
from support.bundled import bundle_archives, host_key, tiny_bundle
from support.commands import run_kitbag
from support.synthetic import SYNTHETIC, make_synthetic_archive

KEY = host_key()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    archives = [
        (make_synthetic_archive(name, folder / "a"), type(KEY).parse(SYNTHETIC[name].key))
        for name in ("macos-arm64", "linux")
    ]
    return bundle_archives(folder / "x.kitbag", archives)


def test_what_is_told_of_a_bundle(capfd, bundle):
    done = run_kitbag(capfd, "show", bundle)
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].startswith("tests 1: ")
    assert lines[0].endswith("B, made by kitbag 0.1.0")
    assert SYNTHETIC["linux"].key in lines
    assert SYNTHETIC["macos-arm64"].key in lines
    assert "  release   20260101 install_only_stripped" in lines
    assert any(line.startswith("  needs     glibc 2.17") for line in lines)
    assert any(line.startswith("  here      does not fit: it is for macos") for line in lines)
    assert any(f"archive   {SYNTHETIC['linux'].filename} (" in line for line in lines)


def test_json_is_the_manifest_and_what_fits(capfd, bundle):
    found = run_kitbag(capfd, "show", bundle, "--json").json
    assert found["bundle"] == {"name": "tests", "version": "1", "kitbag": "0.1.0"}
    assert [build["key"] for build in found["build"]] == sorted(found["fits"])
    assert found["fits"][SYNTHETIC["macos-arm64"].key] is False
    assert found["members"]["manifest.toml"] > 0
    assert "kitbag.pyz" in found["members"]


def test_a_build_for_this_host_fits(capfd, tmp_path):
    path = tiny_bundle(tmp_path / "x.kitbag", "3.13.5")
    done = run_kitbag(capfd, "show", path)
    assert "  here      fits this host\n" in done.out
    assert run_kitbag(capfd, "show", path, "--json").json["fits"] == {str(KEY): True}


def test_what_is_no_bundle(capfd, tmp_path):
    (tmp_path / "x").write_text("no bundle")
    assert run_kitbag(capfd, "show", tmp_path / "x").status == 3
    assert run_kitbag(capfd, "show", tmp_path / "nothing").status == 2
    done = run_kitbag(capfd, "show")
    assert done.status == 2
    assert "required: BUNDLE" in done.err


def test_what_an_install_does_unless_told_otherwise(capfd, tmp_path):
    defaults = InstallDefaults(default=True, externally_managed=False)
    path = tiny_bundle(tmp_path / "x.kitbag", "3.13.5", install=defaults)
    done = run_kitbag(capfd, "show", path)
    assert "installs with default = true, externally-managed = false\n" in done.out
