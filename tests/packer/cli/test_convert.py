"""kitbag convert, pack --format 7z, and how passwords reach them."""

from __future__ import annotations

import sys

import pexpect
import pytest

from kitbag_bundles.bundle import Bundle
from support.bundled import host_key, tiny_bundle
from support.commands import run_kitbag
from support.tiny import make_tiny_archive


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return tiny_bundle(tmp_path_factory.mktemp("b") / "tools.kitbag", "3.13.5")


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret.txt"
    path.write_text("geheim\nsecond line\n")
    return path


def test_the_form_follows_the_name(capfd, bundle, tmp_path):
    for name, form in (("t.7z", "7z"), ("T.7Z", "7z"), ("t.kitbag", "kitbag"), ("t/", "dir")):
        done = run_kitbag(capfd, "convert", bundle, f"{tmp_path}/{name}", "--json")
        assert (done.status, done.json["format"]) == (0, form)
        assert bool(done.json["sha256"]) == (form != "dir")
    done = run_kitbag(capfd, "convert", tmp_path / "t.7z", tmp_path / "x.7z", "--format", "kitbag")
    assert (tmp_path / "x.7z").read_bytes() == bundle.read_bytes()
    assert done.out.startswith(f"Wrote {tmp_path / 'x.7z'} (")


def test_every_verb_takes_a_stored_one(capfd, bundle, tmp_path):
    path = tmp_path / "t.7z"
    done = run_kitbag(capfd, "convert", bundle, path)
    assert "(of the bundle inside)" in done.out
    assert str(host_key()) in run_kitbag(capfd, "show", path).out
    shas = [run_kitbag(capfd, "verify", each, "--json").json["sha256"] for each in (path, bundle)]
    assert shas[0] == shas[1]
    assert run_kitbag(capfd, "export", path, "--to", tmp_path / "srv").status == 0
    done = run_kitbag(capfd, "install", path, "--root", tmp_path / "root", "--no-bin")
    assert (done.status, "Installed 1 build" in done.out) == (0, True)


def test_the_other_verbs_say_what_to_do_with_an_encrypted_one(capfd, bundle, tmp_path, secret):
    path = tmp_path / "t.7z"
    done = run_kitbag(capfd, "convert", bundle, path, "--encrypt", "--password-file", secret)
    assert done.status == 0
    for verb in (("show",), ("verify",), ("install", "--root", tmp_path / "r", "--no-bin"),
                 ("export", "--to", tmp_path / "srv")):  # fmt: skip
        done = run_kitbag(capfd, verb[0], path, *verb[1:])
        assert (done.status, "convert it first: kitbag convert" in done.err) == (2, True)
    out = tmp_path / "back.kitbag"
    assert run_kitbag(capfd, "convert", path, out, "--password-file", secret).status == 0
    assert out.read_bytes() == bundle.read_bytes()


def test_a_password_for_a_7z_means_encryption(capfd, bundle, tmp_path, secret):
    done = run_kitbag(capfd, "convert", bundle, tmp_path / "t.7z", "--password-file", secret)
    assert done.status == 0
    assert run_kitbag(capfd, "show", tmp_path / "t.7z").status == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"\nx", "empty"), (b"\xff\xfe", "not UTF-8"), (b"x" * 5000, "endless"),
     (None, "cannot read")],
)  # fmt: skip
def test_files_that_hold_no_password(capfd, bundle, tmp_path, content, words):
    if content is not None:
        (tmp_path / "p").write_bytes(content)
    done = run_kitbag(capfd, "convert", bundle, tmp_path / "t.7z", "--password-file",
                      tmp_path / "p")  # fmt: skip
    assert done.status in (1, 2)
    assert words in done.err
    assert not (tmp_path / "t.7z").exists()


def test_without_a_terminal_nothing_asks(capfd, bundle, tmp_path):
    done = run_kitbag(capfd, "convert", bundle, tmp_path / "t.7z", "--encrypt")
    assert (done.status, "--password-file" in done.err) == (2, True)
    done = run_kitbag(capfd, "convert", bundle, tmp_path / "x.kitbag", "--encrypt")
    assert (done.status, "--format 7z" in done.err) == (2, True)
    assert run_kitbag(capfd, "convert", bundle, "").status == 2
    assert list(tmp_path.iterdir()) == []


def test_on_a_terminal_it_asks_twice(bundle, tmp_path):
    def converse(*answers, source=bundle, out="t.7z", options=("--encrypt",)):
        command = ["-m", "kitbag_packer", "convert", str(source), str(tmp_path / out), *options]
        child = pexpect.spawn(sys.executable, command, encoding="utf-8", timeout=30)
        for prompt, answer in answers:
            child.expect_exact(prompt)
            child.sendline(answer)
        child.expect(pexpect.EOF)
        child.close()
        assert "geheim" not in (child.before or "")
        return child.exitstatus, child.before

    status, said = converse(("Password for ", "geheim"), ("The same again: ", "anders"))
    assert (status, "not the same" in said) == (2, True)
    assert converse(("Password for ", "geheim"), ("The same again: ", "geheim"))[0] == 0
    status, said = converse(
        ("Password for ", "falsch"), source=tmp_path / "t.7z", out="back", options=()
    )
    assert (status, "is wrong" in said) == (2, True)
    status, _ = converse(
        ("Password for ", "geheim"), source=tmp_path / "t.7z", out="back", options=()
    )
    assert status == 0
    assert (tmp_path / "back").read_bytes() == bundle.read_bytes()


class TestPack:
    def pack(self, capfd, tmp_path, name, *options):
        archive = make_tiny_archive(tmp_path / "a", "3.13.5")
        return run_kitbag(
            capfd, "pack", "--from", archive, "--key", host_key(), "-o", tmp_path / name,
            "--name", "edge", *options,
        )  # fmt: skip

    def test_a_7z_has_the_bundle_that_is_packed_without(self, capfd, tmp_path, secret):
        done = self.pack(capfd, tmp_path, "t.kitbag", "--json")
        sha256 = done.json["sha256"]
        done = self.pack(capfd, tmp_path, "t.7z", "--format", "7z", "--json")
        assert (done.status, done.json["sha256"]) == (0, sha256)
        with Bundle.open(tmp_path / "t.7z") as opened:
            assert opened.manifest.name == "edge"
        done = self.pack(
            capfd, tmp_path, "s.7z", "--format", "7z", "--password-file", secret, "--json"
        )
        assert (done.status, done.json["sha256"]) == (0, sha256)
        assert run_kitbag(capfd, "show", tmp_path / "s.7z").status == 2
        run_kitbag(capfd, "convert", tmp_path / "s.7z", tmp_path / "b", "--password-file", secret)
        assert (tmp_path / "b").read_bytes() == (tmp_path / "t.kitbag").read_bytes()
        assert sorted(each.suffix for each in tmp_path.iterdir()) == sorted(
            ["", "", ".txt", ".kitbag", ".7z", ".7z"]
        )

    def test_what_does_not_go_together(self, capfd, tmp_path, secret):
        for options in (
            ("--encrypt",),
            ("--password-file", secret),
            ("--format", "dir", "--encrypt"),
            ("--format", "7z", "--encrypt"),
            ("--format", "7z", "--volume-size", "1GB"),
        ):
            done = self.pack(capfd, tmp_path, "t.7z", *options)
            assert (done.status, len(done.err.splitlines())) == (2, 1)
        assert not (tmp_path / "t.7z").exists()
