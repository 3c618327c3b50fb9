from dataclasses import replace
from pathlib import Path

import pytest

from kitbag_bundles.errors import NoMatch
from kitbag_bundles.keys import BuildKey
from kitbag_packer.downloads.accounts import Accounts
from kitbag_packer.downloads.settings import DownloadSettings
from kitbag_packer.environments.carrying import Carried, made_for
from kitbag_packer.environments.model import Planned, Spec
from kitbag_packer.environments.planning import in_order, plan, plan_carried
from kitbag_packer.errors import NoWheel
from support.downloading import Notes
from support.wheels import make_wheel, pylock_of

KEYS = {
    BuildKey.parse(f"cpython-{version}-{target}"): "20260101"
    for target in ("windows-x86_64-none", "linux-x86_64-gnu")
    for version in ("3.13.5", "3.12.9")
}
SETTINGS = DownloadSettings(offline=True, accounts=Accounts())


@pytest.fixture
def spec(tmp_path) -> Spec:
    tags = ("py3-none-manylinux_2_17_x86_64", "py3-none-win_amd64")
    wheels = [make_wheel(tmp_path, "native", tags=each) for each in tags]
    wheels.append(make_wheel(tmp_path, "pure"))
    (tmp_path / "pylock.toml").write_text(pylock_of(wheels))
    return Spec("app", "lock", tmp_path / "pylock.toml")


def titles(planned: tuple[Planned, ...]) -> list[str]:
    return [f"{each.spec.name} {each.made_for.key}" for each in planned]


def test_every_environment_for_every_build(spec):
    found = plan_carried(Carried((spec,)), KEYS, SETTINGS, Notes())
    assert titles(found) == [
        "app cpython-3.12.9-linux-x86_64-gnu",
        "app cpython-3.12.9-windows-x86_64-none",
        "app cpython-3.13.5-linux-x86_64-gnu",
        "app cpython-3.13.5-windows-x86_64-none",
    ]
    assert [[pick.filename for pick in each.picks] for each in found[:2]] == [
        ["native-1.0-py3-none-manylinux_2_17_x86_64.whl", "pure-1.0-py3-none-any.whl"],
        ["native-1.0-py3-none-win_amd64.whl", "pure-1.0-py3-none-any.whl"],
    ]
    assert {each.made_for.release for each in found} == {"20260101"}


def test_the_order_does_not_depend_on_anything(spec):
    other = replace(spec, name="more")
    several = plan_carried(Carried((other, spec)), KEYS, SETTINGS, Notes())
    backwards = dict(reversed(KEYS.items()))
    assert plan_carried(Carried((spec, other)), backwards, SETTINGS, Notes()) == several
    assert in_order(reversed(several)) == several


def test_what_is_planned_stays(spec):
    planned = plan_carried(Carried((spec,)), KEYS, SETTINGS, Notes())
    assert plan_carried(Carried(planned=planned), {}, SETTINGS, Notes()) == planned


def test_a_configuration_gives_its_accounts_to_what_was_planned(spec, monkeypatch):
    planned = plan_carried(Carried((spec,)), KEYS, SETTINGS, Notes())
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://me:hidden@index.example/simple/")
    settings = DownloadSettings(accounts=Accounts())
    plan_carried(Carried(planned=planned), {}, settings, Notes())
    account = settings.accounts.of("https://index.example/files/x.whl")
    assert account is not None
    assert account.password == "hidden"


def test_several_failures_are_told_together(spec):
    text = spec.path.read_text()
    lines = [line for line in text.splitlines() if "win_amd64" not in line]
    spec.path.write_text("\n".join(lines))
    notes = Notes()
    with pytest.raises(NoWheel) as caught:
        plan_carried(Carried((spec,)), KEYS, SETTINGS, notes)
    # Two builds on one target, and one thing that is wrong.
    assert str(caught.value) == (
        f"{spec.path}: native 1.0 has wheels for manylinux_x86_64, but none for "
        "windows-x86_64-none, and has no source distribution; there is one for linux-x86_64-gnu; "
        "leave out what has none, or lock versions that have wheels for it"
    )
    assert notes.messages == []
    broken = replace(spec, name="more", extras=("nope",))
    with pytest.raises(NoWheel, match="2 things keep environments from being packed, see above"):
        plan_carried(Carried((spec, broken)), KEYS, SETTINGS, notes)
    assert len(notes.messages) == 2
    assert "it knows no extra 'nope'" in notes.messages[1]
    with pytest.raises(NoMatch):
        plan_carried(Carried((replace(spec, python="3.9"),)), KEYS, SETTINGS, notes)


def test_a_python_that_a_lock_is_not_for(spec):
    spec.path.write_text(spec.path.read_text().replace(">=3.9", ">=3.13"))
    place = made_for(BuildKey.parse("cpython-3.12.9-linux-x86_64-gnu"), "")
    with pytest.raises(NoMatch, match=r"needs Python >=3\.13, which 3\.12\.9 is not"):
        plan([(spec, place)], SETTINGS, Notes())


def test_a_list_that_is_not_there():
    spec = Spec("app", "requirements", Path("/nothing/requirements.txt"))
    place = made_for(BuildKey.parse("cpython-3.12.9-linux-x86_64-gnu"), "")
    with pytest.raises(Exception, match=r"requirements\.txt"):
        plan([(spec, place)], SETTINGS, Notes())
