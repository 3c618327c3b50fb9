import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_bundles.errors import FileSystemError, KitbagError
from kitbag_packer.errors import RecipeError
from kitbag_packer.recipes.recipe import (
    EnvironmentOptions,
    InstallDefaults,
    Recipe,
    TargetOptions,
    read_recipe,
    render,
)
from kitbag_packer.targets import KNOWN, parse_target

WHOLE = """\
[bundle]
name = "edge-tools"
version = "2026.11"
python = ["3.13", "pypy3.11"]
targets = ["linux-x86_64-gnu", "windows-x86_64"]
flavor = "install_only_stripped"
output = "out/edge-tools.kitbag"
catalogs = ["lists/own.json", "archives/", "embedded"]
allow-unverified = true

[target.windows-x86_64]
python = ["3.12"]
flavor = "install_only"

[install]
default = true
externally-managed = false
bin = true

[[environment]]
name = "app"
python = "3.13"
project = "../app"
extras = ["web"]
groups = []
expose = ["serve", "app"]
run = "serve"
glibc = "2.17"

[[environment]]
name = "tools"
lock = "pylock.tools.toml"
"""
LEAST = '[bundle]\npython = ["3.13"]\ntargets = ["linux-x86_64-gnu"]\n'

texts = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]) | st.just(" "))
requests = st.lists(
    st.sampled_from(["3.13", "pypy3.11", ">=3.11,<3.13", "3.14t", "latest", "graalpy"]),
    min_size=1,
    max_size=3,
).map(tuple)
flavors = st.sampled_from(["", "install_only", "pgo+lto+full"])
choices = st.none() | st.booleans()
names = st.lists(st.sampled_from(["web", "dev", "x.y"]), max_size=2).map(tuple)
environments = st.lists(
    st.builds(
        EnvironmentOptions,
        name=st.sampled_from(["app", "tools", "a.b_c-d"]),
        python=st.sampled_from(["", "3.13"]),
        lock=texts.filter(bool),
        extras=names,
        groups=st.none() | names,
        expose=names,
        run=st.sampled_from(["", "web"]),
        glibc=st.sampled_from(["", "2.28"]),
    ),
    max_size=2,
    unique_by=lambda options: options.name,
).map(tuple)


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    spelt = [str(target) for target in KNOWN] + ["windows-x86_64", "linux/arm64"]
    targets = draw(st.lists(st.sampled_from([*spelt, "all"]), min_size=1, max_size=4))
    named = {str(parse_target(text)): text for text in targets if text != "all"}
    special = draw(st.sets(st.sampled_from(sorted(named.values())))) if named else set()
    options = st.none() | requests
    return Recipe(
        python=draw(requests),
        targets=tuple(targets),
        name=draw(texts.filter(bool)),
        version=draw(texts),
        flavor=draw(flavors),
        output=draw(texts),
        catalogs=tuple(draw(st.lists(texts.filter(bool), max_size=2))),
        allow_unverified=draw(st.booleans()),
        target_options=tuple(
            TargetOptions(target, draw(options) or (), draw(st.none() | flavors))
            for target in sorted(special)
        ),
        install=draw(st.builds(InstallDefaults, choices, choices, choices)),
        environments=draw(environments),
    )


def written(folder: Path, text: str) -> Path:
    path = folder / "kitbag.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_everything_that_a_recipe_may_say(tmp_path):
    recipe = read_recipe(written(tmp_path, WHOLE))
    assert recipe == Recipe(
        python=("3.13", "pypy3.11"),
        targets=("linux-x86_64-gnu", "windows-x86_64"),
        name="edge-tools",
        version="2026.11",
        flavor="install_only_stripped",
        output="out/edge-tools.kitbag",
        catalogs=("lists/own.json", "archives/", "embedded"),
        allow_unverified=True,
        target_options=(TargetOptions("windows-x86_64", ("3.12",), "install_only"),),
        install=InstallDefaults(default=True, externally_managed=False, bin=True),
        environments=(
            EnvironmentOptions(
                "app",
                python="3.13",
                project="../app",
                extras=("web",),
                groups=(),
                expose=("serve", "app"),
                run="serve",
                glibc="2.17",
            ),
            EnvironmentOptions("tools", lock="pylock.tools.toml"),
        ),
    )
    assert recipe.output_path == tmp_path / "out/edge-tools.kitbag"
    assert recipe.catalog_places == (
        str(tmp_path / "lists/own.json"),
        f"{tmp_path}/archives/",
        "embedded",
    )


def test_what_need_not_be_said(tmp_path):
    recipe = read_recipe(written(tmp_path, LEAST))
    assert recipe == Recipe(("3.13",), ("linux-x86_64-gnu",))
    assert (recipe.name, recipe.output_path, recipe.catalog_places) == ("python", None, ())
    assert recipe.install == InstallDefaults()


def test_catalogs_that_are_not_beside_the_recipe():
    said = ("stored", "https://host.example/list.json", "file:///srv/list.json", "/srv/x", "~/y")
    recipe = Recipe(("3",), ("all",), catalogs=said, folder=Path("/somewhere"))
    assert recipe.catalog_places == said


@given(recipes())
def test_what_is_written_reads_back(tmp_path_factory, recipe):
    path = written(tmp_path_factory.getbasetemp(), render(recipe))
    assert read_recipe(path) == recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[bundle]\npython = 3.13.5\n", "not TOML: .*line 2"),
        ("\ufeff" + LEAST, "not TOML"),
        ("x = " + "[" * 5000, "not TOML"),
        (LEAST.replace("python", "pyhton"), r"\[bundle\] .*'pyhton'; did you mean 'python'\?"),
        (LEAST + "allow_unverified = true", "did you mean 'allow-unverified'"),
        (LEAST + "[instal]", "unknown key 'instal'; did you mean 'install'"),
        (LEAST + "[install]\nforce = true", r"\[install\] has an unknown key 'force'; there is d"),
        ("", r"\[bundle\] is missing"),
        ('[bundle]\npython = ["3"]', r"\[bundle\] targets is missing"),
        ('bundle = "x"', r"\[bundle\] must be a table"),
        (LEAST.replace('"3.13"', ""), r"\[bundle\] python is empty; name at least one"),
        (LEAST.replace('"3.13"', "3.13"), r"\[bundle\] python must be a list of texts, not 3.13"),
        (LEAST + 'allow-unverified = "no"', "allow-unverified must be true or false"),
        (LEAST + 'name = ""', r"\[bundle\] name is empty"),
        (LEAST + 'name = "a\\u202eb"', "name: there is a character in it that cannot be printed"),
        (LEAST.replace("3.13", "3.x"), r"\[bundle\] python: '3.x' names no Python; write 3.13"),
        (LEAST + 'flavor = "instal"', r"\[bundle\] flavor: 'instal' is no kind of archive"),
        (LEAST.replace("linux-", "lunix-"), r"\[bundle\] targets: 'lunix-.*did you mean linux-x86"),
        (LEAST.replace("linux-x86_64-gnu", "host"), "targets: 'host' is another machine for oth"),
        (LEAST + "[target.windows-x86_64]\n", r"\[target.windows-x86_64\]: not one of the targets"),
        (LEAST + "[target.lunix]\n", r"\[target.lunix\]: 'lunix' is no target"),
        (
            LEAST + "[target.linux-x86_64]\n[target.linux-x86_64-gnu]\n",
            r"\[target.linux-x86_64\] is about linux-x86_64-gnu too",
        ),
        (LEAST + '[target.linux-x86_64]\npython = ["3.x"]', r"\[target.linux-x86_64\] python: '3."),
        (LEAST + "[target]\nlinux-x86_64 = 1", r"\[target.linux-x86_64\] must be a table"),
        (LEAST.replace("3.13", "cpython-3.13-windows"), "is for none of the targets here"),
        (
            LEAST.replace('["3.13"]', '["pyodide"]').replace("linux-x86_64-gnu", "all")
            + '[target.linux-x86_64]\nflavor = "full"',
            "'pyodide' is the same build for every target; give it one flavor",
        ),
        ("environment = 1\n" + LEAST, r"environment must be tables, each below its own \[\[env"),
        (LEAST + "[environment]", "environment must be tables"),
        (LEAST + "[[environment]]", r"\[\[environment\]\] 1 name is missing"),
        (LEAST + '[[environment]]\nname = "a"\nprojekt = "."', "did you mean 'project'"),
        (LEAST + '[[environment]]\nname = "a"', r"\] a project: nothing names its packages; write"),
        (
            LEAST + '[[environment]]\nname = "a"\nlock = "x"\nproject = "."',
            "a project: project and lock are there; write one",
        ),
        (LEAST + '[[environment]]\nname = "A"\nlock = "x"', "A name: 'A' is no name for an envi"),
        (LEAST + '[[environment]]\nname = "3.13"\nlock = "x"', "'3.13' is no name for an envir"),
        (LEAST + 2 * '[[environment]]\nname = "a"\nlock = "x"\n', "a name: two are called so"),
        (LEAST + '[[environment]]\nname = "a"\nlock = "x"\npython = "x"', "a python: 'x' names"),
        (LEAST + '[[environment]]\nname = "a"\nlock = "x"\nrun = "../x"', "a run: '../x' is no"),
        (LEAST + '[[environment]]\nname = "a"\nlock = "x"\nglibc = "3"', "a glibc: '3' is no ver"),
        (LEAST + "wheelhouse-only = true", r"wheelhouse-only: there are no packages; describe th"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(RecipeError, match=message) as caught:
        read_recipe(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).isprintable()


def test_what_can_not_be_read(tmp_path):
    with pytest.raises(RecipeError, match=r"kitbag\.toml: no such file; write a recipe"):
        read_recipe(tmp_path / "kitbag.toml")
    with pytest.raises(FileSystemError, match="directory"):
        read_recipe(tmp_path)
    (tmp_path / "latin").write_bytes(b"# \xe9")
    with pytest.raises(RecipeError, match="not UTF-8"):
        read_recipe(tmp_path / "latin")


@given(st.text(max_size=60) | st.sampled_from([LEAST, WHOLE]).flatmap(
    lambda text: st.tuples(st.integers(0, len(text)), st.text(max_size=3)).map(
        lambda cut: text[: cut[0]] + cut[1] + text[cut[0] + 1 :]
    )
))  # fmt: skip
def test_whatever_it_says_it_is_a_recipe_or_an_error_of_ours(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    with contextlib.suppress(KitbagError):
        assert read_recipe(path).python
