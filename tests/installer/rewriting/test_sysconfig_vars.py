from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kitbag_installer.rewriting import sysconfig_vars, sysconfigdata

from .texts import ODD_HOMES, PLAIN_HOMES, all_texts, json_variables

EACH = pytest.mark.parametrize("texts", all_texts(), ids=lambda texts: texts.interpreter.minor)


@EACH
def test_same_values_as_the_module(texts) -> None:
    pristine = json_variables(texts.values, texts.interpreter.minor)
    for home in (*PLAIN_HOMES, *ODD_HOMES):
        new = json.loads(sysconfig_vars.rewrite(pristine, home))
        module = sysconfigdata.parse(sysconfigdata.rewrite(texts.sysconfigdata, home))
        del module["PYTHON_BUILD_STANDALONE"], module["srcdir"]
        assert {name: new[name] for name in module} == module
        assert new["installed_base"] == home
        assert new["projectbase"] == f"{home}/bin"
        assert new["userbase"] == "~/.local"
        assert new["nothing"] is None


@EACH
def test_the_layout_of_the_standard_librarys_writer_stays(texts) -> None:
    new = sysconfig_vars.rewrite(json_variables(texts.values, "3.14"), "/größe")
    assert new == json.dumps(json.loads(new), indent=2)
    assert new.isascii()


@given(
    st.dictionaries(st.text("abc_", min_size=1), st.text() | st.integers() | st.none()),
    st.sampled_from([None, 2, 4]),
)
def test_other_values_keep_their_bytes(values: dict[str, object], indent: int | None) -> None:
    clean = {k: " ".join(v.split()) if isinstance(v, str) else v for k, v in values.items()}
    text = json.dumps(clean, indent=indent)
    if "/" not in text:
        assert sysconfig_vars.rewrite(text, "/x") == text
    assert json.loads(sysconfig_vars.rewrite(text, "/x")).keys() == clean.keys()
