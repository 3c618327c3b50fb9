import json
import re
import tomllib
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_packer.errors import RecipeError
from kitbag_packer.recipes import shape

SCHEMA = json.loads(shape.schema_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
TOML = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
DOCS = Path(__file__).resolve().parents[3] / "docs"

values = st.recursive(
    st.booleans() | st.integers(0, 3) | st.sampled_from(["", "3.13", "x"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("x"), inner, max_size=1),
    max_leaves=3,
)


def tables(schema) -> st.SearchStrategy:
    """Tables that are nearly what ``schema`` asks for."""
    known = {
        name: tables(each) if each["type"] == "object" else right(each) | values
        for name, each in schema.get("properties", {}).items()
    }
    if schema.get("additionalProperties"):
        return st.dictionaries(
            st.sampled_from(["windows-x86_64", "y"]),
            tables(schema["additionalProperties"]) | values,
            max_size=2,
        )
    required = {name: known.pop(name) for name in schema.get("required", ())}
    return st.fixed_dictionaries(
        required, optional={**known, "unknown": values}
    ) | st.fixed_dictionaries({}, optional={**known, **required})


def right(schema) -> st.SearchStrategy:
    if schema.get("items", {}).get("type") == "object":
        return st.lists(tables(schema["items"]), max_size=2)
    texts = st.sampled_from(["3.13", ""])
    by_type = {"string": texts, "boolean": st.booleans(), "array": st.lists(texts, max_size=2)}
    return by_type[schema["type"]]


def fits(document) -> bool:
    try:
        shape.check_shape(document, "kitbag.toml")
    except RecipeError:
        return False
    return True


def test_the_schema_is_one_and_travels_with_the_package():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert (resources.files("kitbag_packer.recipes") / "kitbag.schema.json").is_file()
    assert all(part["description"] for part in SCHEMA["properties"].values())


@given(tables(SCHEMA))
def test_kitbag_and_an_editor_agree(document):
    assert fits(document) == VALIDATOR.is_valid(document)


@pytest.mark.parametrize("table", ["bundle", "target.x", "install", "environment"])
def test_every_key_has_a_type_and_no_other_is_known(table):
    least = {"python": ["3"], "targets": ["x"]}
    inner = SCHEMA["properties"]["target"]["additionalProperties"]
    keys = inner if table == "target.x" else SCHEMA["properties"][table]
    keys = keys.get("items", keys)

    def with_value(name, value):
        made = {**(least if table == "bundle" else {}), name: value}
        if table == "target.x":
            return {"bundle": least, "target": {"x": made}}
        if table == "environment":
            return {"bundle": least, table: [{"name": "x", **made}]}
        return {"bundle": least, table: made}

    for name in keys["properties"]:
        for wrong in (1, 1.5, {"x": 1}, [1]):
            document = with_value(name, wrong)
            assert not VALIDATOR.is_valid(document)
            assert not fits(document)
    assert not VALIDATOR.is_valid(with_value("other", "x"))


def test_the_examples_of_the_documentation_are_recipes(tmp_path):
    from kitbag_packer.recipes.recipe import read_recipe

    found = [
        block
        for path in sorted(DOCS.rglob("*.md"))
        for block in TOML.findall(path.read_text("utf-8"))
        if "[bundle]" in block and "format = 1" not in block
    ]
    assert len(found) >= 2
    for block in found:
        VALIDATOR.validate(tomllib.loads(block))
        (tmp_path / "kitbag.toml").write_text(block, "utf-8")
        read_recipe(tmp_path / "kitbag.toml")


def test_the_reference_explains_every_key():
    text = (DOCS / "reference" / "recipe.md").read_text("utf-8")
    for name, part in SCHEMA["properties"].items():
        assert f"`[{name}" in text or f"`[[{name}" in text
        inner = part.get("additionalProperties") or part.get("items") or part
        for key in inner["properties"]:
            assert f"| `{key}` |" in text, key
