import base64
import hashlib
import tracemalloc
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.errors import ArchiveError, DigestMismatch, FileSystemError
from kitbag_packer.environments.wheels import inspect_wheel
from support.wheels import make_wheel, member_info, record_line, sha256_of


def inspect(path, sha256=""):
    return inspect_wheel(path, path.name, sha256)


def refused(path, *words: str, error=ArchiveError) -> None:
    with pytest.raises(error) as caught:
        inspect(path)
    message = str(caught.value)
    assert message.startswith((path.name, ascii(path.name)))
    assert "\n" not in message
    for word in words:
        assert word in message


def test_a_wheel_tells_all_that_a_manifest_has(tmp_path):
    path = make_wheel(
        tmp_path,
        "My.App",
        "1.0.post1",
        files={"my_app/__init__.py": "", "my_app/a long name.py": "X = 1"},
        scripts={"app": "my_app:main", "app-more": "my_app.more:more [extra]"},
        gui_scripts={"app-gui": "my_app:Window.show"},
        requires_python=">=3.9",
    )
    found = inspect(path, sha256_of(path))
    wheel = found.wheel
    assert (wheel.filename, wheel.name, wheel.version) == (path.name, "my-app", "1.0.post1")
    assert (wheel.size, wheel.sha256) == (path.stat().st_size, sha256_of(path))
    assert (wheel.url, wheel.built) == ("", False)
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
    assert wheel.files == len(infos) == 6
    assert wheel.unpacked_size == sum(info.file_size for info in infos)
    assert wheel.longest_path == len("my_app-1.0.post1.dist-info/entry_points.txt")
    assert found.scripts == ("app", "app-gui", "app-more")
    assert dict(found.references)["app-more"] == "my_app.more:more"
    assert found.requires_python == ">=3.9"
    assert found.path == path
    paths = dict(found.paths)
    assert paths["my_app/a long name.py"] == hashlib.sha256(b"X = 1").hexdigest()
    assert list(paths) == sorted(paths)
    assert "my_app-1.0.post1.dist-info/RECORD" in paths


def test_what_goes_to_site_packages_has_its_path_there(tmp_path):
    data = {"purelib/a.py": "", "platlib/b/c.so": "", "scripts/tool": "", "headers/h.h": ""}
    path = make_wheel(tmp_path, "app", files={"d.py": ""}, data={**data, "data/share/x": ""})
    paths = [each for each, _ in inspect(path).paths if "dist-info" not in each]
    assert paths == [
        "a.py",
        "app-1.0.data/data/share/x",
        "app-1.0.data/headers/h.h",
        "app-1.0.data/scripts/tool",
        "b/c.so",
        "d.py",
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"name": "speed", "tags": "cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64"},
        {"name": "speed", "version": "2!1.0+local.1", "build": "1a"},
        {"name": "space", "files": {"space/part.py": ""}},
        {"name": "names", "files": {'with "quotes", and a comma.py': "", "ü/ß.py": ""}},
        {"name": "stored", "stored": True},
        {"name": "empty", "files": {}},
        {"name": "folders", "extra": [("pkg/", b""), ("pkg/", b"")]},
        {"name": "signed", "extra": [("signed-1.0.dist-info/RECORD.jws", b"{}")]},
        {"name": "program", "files": {"run.sh": ""}, "modes": {"run.sh": 0o755}},
        {"name": "other", "info": "Other-1.0.0.dist-info"},
        {"name": "newer", "wheel": "Wheel-Version: 1.9\nTag: py3-none-any\n"},
    ],
    ids=lambda options: options["name"],
)
def test_sound_wheels_pass(tmp_path, options):
    name = options.pop("name")
    assert inspect(make_wheel(tmp_path, name, **options)).wheel.name == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../evil.py", "forbidden name"),
        ("a/../../evil.py", "forbidden name"),
        ("/etc/evil", "forbidden name"),
        ("a//b.py", "forbidden name"),
        ("./a.py", "called"),
        ("", "called"),
        ("C:/evil.py", "called"),
        ("C:evil.py", "called"),
        ("a\\..\\..\\evil.py", "called"),
        ("nul\0.py", "forbidden name"),
        ("line\n.py", "called"),
        ("x" * 256, "longer than file systems take"),
    ],
)
def test_names_that_lead_elsewhere(tmp_path, name, words):
    data = b"evil"
    path = make_wheel(
        tmp_path,
        "evil",
        extra=[(name, data)],
        record=lambda lines: [*lines, record_line(f'"{name}"', data)],
    )
    refused(path, words)


def test_links_devices_and_special_bits(tmp_path):
    for number, (mode, words) in enumerate(
        [(0o120777, "a link"), (0o060644, "neither"), (0o040755, "neither"), (0o104755, "setuid")]
    ):
        path = make_wheel(
            tmp_path / str(number), "evil", extra=[(member_info("x", mode=mode), b"/etc/passwd")]
        )
        refused(path, words)


def test_members_that_are_there_twice(tmp_path):
    twice = make_wheel(tmp_path, "one", extra=[("one.py", b"other")])
    refused(twice, "'one.py' is in it twice")
    scheme = make_wheel(tmp_path, "two", data={"purelib/two.py": "other"})
    refused(scheme, "'two.py' is in it twice", "two-1.0.data")
    folder = make_wheel(tmp_path, "three", files={"a": "", "a/b.py": ""})
    refused(folder, "'a' is a file and a folder")
    unknown = make_wheel(tmp_path, "four", data={"elsewhere/x": ""})
    refused(unknown, "no place that wheels know")


def test_encrypted_and_strangely_packed_members(tmp_path):
    path = make_wheel(tmp_path, "secret")
    data = bytearray(path.read_bytes())
    first = data.index(b"PK\x01\x02")
    data[first + 8] |= 1
    path.write_bytes(data)
    refused(path, "'secret.py' is encrypted")
    path = make_wheel(tmp_path, "lzma", extra=[(member_info("x", zipfile.ZIP_LZMA), b"x")])
    refused(path, "method 14")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[1:], "does not speak"),
        (lambda lines: [*lines, "gone.py,sha256=" + "A" * 43 + ",1\n"], "'gone.py'"),
        (
            lambda lines: [record_line("liar.py", b"other"), *lines[1:]],
            "not the file that its RECORD speaks of",
        ),
        (lambda lines: [lines[0].rstrip("\n") + "0\n", *lines[1:]], "'liar.py' is not the file"),
        (lambda lines: ["liar.py,,\n", *lines[1:]], "no hash for 'liar.py'"),
        (lambda lines: ["liar.py,md5=abc,1\n", *lines[1:]], "'md5'"),
        (lambda lines: ["liar.py,sha256=abc,1\n", *lines[1:]], "makes no sense"),
        (lambda lines: ["liar.py,sha256=üü,1\n", *lines[1:]], "makes no sense"),
        (lambda lines: ["liar.py\n", *lines[1:]], "1 fields"),
        (lambda lines: [*lines, record_line("liar.py", b"other")], "says two things"),
        (lambda lines: ['"liar.py\n', *lines[1:]], "can't be read"),
    ],
)
def test_a_record_that_lies(tmp_path, change, words):
    refused(make_wheel(tmp_path, "liar", record=change), "RECORD", words)


def test_other_digests_in_record_are_held_against_the_files(tmp_path):
    data = b"X = 1"

    def line(content: bytes) -> str:
        digest = base64.urlsafe_b64encode(hashlib.sha512(content).digest()).rstrip(b"=").decode()
        return f"a.py,sha512={digest},\n"

    good = make_wheel(tmp_path, "a", files={"a.py": data}, record=lambda x: [line(data), *x[1:]])
    assert inspect(good).wheel.name == "a"
    bad = make_wheel(tmp_path, "b", files={"a.py": data}, record=lambda x: [line(b"Y"), *x[1:]])
    refused(bad, "not the file that its RECORD speaks of")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"info": "other-1.0.dist-info"}, "metadata of another project, other-1.0.dist-info"),
        ({"info": "bad-2.0.dist-info"}, "inside it is bad-2.0.dist-info"),
        ({"info": "bad-nonsense.dist-info"}, "inside it is"),
        ({"info": "bad-1.0"}, "0 .dist-info directories"),
        ({"extra": [("more-1.0.dist-info/METADATA", b"")]}, "2 .dist-info directories"),
        ({"wheel": "Wheel-Version: 2.0\n"}, "version 2 of the wheel format"),
        ({"wheel": "nothing"}, "does not tell the version"),
        ({"metadata": "nothing"}, "METADATA is of ''"),
        ({"metadata": "Metadata-Version: 2.1\nName: x\nVersion: 1.0\n"}, "METADATA is of 'x'"),
        ({"metadata": "Metadata-Version: 2.1\nName: bad\nVersion: 2\n"}, "is of 'bad' '2'"),
        ({"entry_points": "[console_scripts]\na = b:c\na = b:c"}, "entry_points.txt"),
        ({"entry_points": "nothing"}, "entry_points.txt"),
        ({"scripts": {"../evil": "a:b"}}, "'../evil'"),
        ({"scripts": {"evil\\x": "a:b"}}, "script"),
        ({"scripts": {"..": "a:b"}}, "script"),
        ({"scripts": {"evil": "a"}}, "'a'"),
        ({"scripts": {"evil": "a:b; import os"}}, "script"),
        ({"filename": "bad-1.0.whl"}, "not the name of a wheel"),
        ({"filename": "bad-1.0-py3-none-any.zip"}, "not the name of a wheel"),
        ({"filename": "bad-1.0-py3-none-ü.whl"}, "not the name of a wheel"),
        ({"filename": "bad-x_y-py3-none-any.whl"}, "not the name of a wheel"),
    ],
)  # fmt: skip
def test_texts_and_names_that_contradict_each_other(tmp_path, options, words):
    refused(make_wheel(tmp_path, "bad", **options), words)


def test_a_wheel_without_its_metadata(tmp_path):
    for missing in ("METADATA", "WHEEL", "RECORD"):
        path = make_wheel(tmp_path, "bare")
        with zipfile.ZipFile(path) as archive:
            kept = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in kept.items():
                if not name.endswith(missing):
                    archive.writestr(name, data)
        refused(path, f"has no bare-1.0.dist-info/{missing}")


def test_damage(tmp_path):
    whole = make_wheel(tmp_path, "app", files={"app.py": "x = 1\n" * 1000}).read_bytes()
    path = tmp_path / "app-1.0-py3-none-any.whl"
    for data in (b"", b"PK", whole[: len(whole) // 2], whole[:-10], b"GIF89a" + whole):
        path.write_bytes(data)
        refused(path)
    rotten = bytearray(whole)
    rotten[60] ^= 0xFF
    path.write_bytes(rotten)
    refused(path, "app.py")
    path.unlink()
    with pytest.raises(FileSystemError, match="can't be read"):
        inspect(path)


def test_another_digest_than_the_lock_says(tmp_path):
    path = make_wheel(tmp_path, "app")
    with pytest.raises(DigestMismatch, match="not 0000000"):
        inspect(path, "0" * 64)


def test_a_bomb_and_a_directory_that_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("kitbag_packer.environments.wheelzip.BOMB_FLOOR", 1 << 20)
    bomb = make_wheel(tmp_path, "bomb", files={"bomb.bin": bytes(8 << 20)})
    tracemalloc.start()
    refused(bomb, "would unpack to")
    assert tracemalloc.get_traced_memory()[1] < 2 << 20
    tracemalloc.stop()
    monkeypatch.setattr("kitbag_packer.environments.wheelzip.LARGEST_DIRECTORY", 1000)
    refused(make_wheel(tmp_path, "many", files={f"{n}.py": "" for n in range(50)}), "directory has")


def test_one_large_file_is_never_held_in_memory(tmp_path):
    path = make_wheel(tmp_path, "large", files={"large.bin": bytes(range(256)) * (64 << 10)})
    inspect(path)
    tracemalloc.start()
    inspect(path)
    assert tracemalloc.get_traced_memory()[1] < 6 << 20
    tracemalloc.stop()


def test_texts_of_absurd_size(tmp_path, monkeypatch):
    monkeypatch.setattr("kitbag_packer.environments.wheelzip.LARGEST_TEXT", 1000)
    text = "Metadata-Version: 2.1\nName: big\nVersion: 1.0\n\n" + "x" * 1000
    path = make_wheel(tmp_path, "big", metadata=text)
    refused(path, "METADATA has")


def test_a_local_header_that_calls_it_otherwise(tmp_path):
    path = make_wheel(tmp_path, "two", files={"aa.py": "", "bb.py": ""})
    data = path.read_bytes()
    path.write_bytes(data.replace(b"aa.py", b"cc.py", 1))
    refused(path, "another name in the header of aa.py")


@given(
    st.lists(
        st.tuples(st.integers(0, 2**16), st.integers(0, 255)),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, 2**16),
    st.booleans(),
)
def test_whatever_is_damaged_is_read_or_refused(tmp_path_factory, changes, cut, shorten):
    folder = tmp_path_factory.getbasetemp() / "damaged"
    path = folder / "app-1.0-py3-none-any.whl"
    whole = make_wheel(folder, "app", scripts={"app": "app:main"}).read_bytes()
    data = bytearray(whole)
    for at, value in changes:
        data[at % len(data)] = value
    if shorten:
        del data[cut % len(data) :]
    path.write_bytes(data)
    try:
        found = inspect(path)
    except ArchiveError as error:
        message = str(error)
    else:
        message = found.wheel.filename
    assert message.startswith(path.name)
