from kitbag_packer.recipes.recipe import TargetOptions
from kitbag_packer.recipes.wants import Want, named_targets, wants
from support.recipes import LINUX, MACOS, WINDOWS, a_recipe


def test_every_request_is_for_every_target():
    recipe = a_recipe("3.13", "3.12", "3.13", targets=("windows-x86_64", LINUX, "linux-x86_64"))
    assert wants(recipe) == (
        Want("3.13", WINDOWS, ""),
        Want("3.12", WINDOWS, ""),
        Want("3.13", LINUX, ""),
        Want("3.12", LINUX, ""),
    )


def test_the_options_of_a_target_replace_those_of_the_bundle():
    recipe = a_recipe(
        "3.13",
        targets=(LINUX, WINDOWS, MACOS),
        flavor="full",
        target_options=(
            TargetOptions("windows-x86_64", ("3.12",)),
            TargetOptions("macos-aarch64", flavor=""),
        ),
    )
    assert wants(recipe) == (
        Want("3.13", LINUX, "full"),
        Want("3.12", WINDOWS, "full"),
        Want("3.13", MACOS, ""),
    )


def test_a_request_that_names_a_platform_is_for_that_one():
    recipe = a_recipe("3.13", "cpython-3.12-windows", targets=(LINUX, WINDOWS))
    assert wants(recipe) == (
        Want("3.13", LINUX, ""),
        Want("3.13", WINDOWS, ""),
        Want("cpython-3.12-windows", WINDOWS, ""),
    )


def test_pyodide_is_for_its_own_target():
    recipe = a_recipe("pyodide", targets=(LINUX, WINDOWS))
    assert wants(recipe) == (Want("pyodide", "emscripten-wasm32-musl", ""),)


def test_all_stands_for_the_targets_that_are_not_named():
    recipe = a_recipe(
        "3.13", targets=("all", LINUX), target_options=(TargetOptions(WINDOWS, ("3.12",)),)
    )
    assert wants(recipe) == (
        Want("3.13", LINUX, ""),
        Want("3.12", WINDOWS, ""),
        Want("3.13", "all", ""),
    )
    assert named_targets(recipe) == {LINUX, WINDOWS}
