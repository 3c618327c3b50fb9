from __future__ import annotations

from kitbag_packer.conversation.places import check_file, check_folder


def test_places_that_will_not_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "empty").mkdir()
    assert check_file("x.kitbag") == check_file("full/x") == check_file("~/x") == ""
    assert check_file(" ") == "type the name of a file"
    assert "is a folder" in check_file("full")
    assert "is a folder" in check_file("full/")
    assert f"there is no folder {tmp_path}/none" in check_file("none/x")
    assert check_folder("new") == check_folder("empty") == ""
    assert "is not empty" in check_folder("full")
    assert "is a file" in check_folder("full/x")
    assert check_folder("") == "type the name of a folder"
