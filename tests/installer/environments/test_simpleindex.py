"""The index of an export: pages for people's tools, and JSON, that say the same."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag, urljoin

from kitbag_installer.environments.simpleindex import START, Listed, index_pages

BASE = "http://h/python/simple/"
WHEELS = {
    "My_App-1.0-py3-none-any.whl": Listed("a" * 64, 10),
    "my.app-1!2.0+x.1-py3-none-any.whl": Listed("b" * 64, 11),
    "click-8.1.7-cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64.whl": Listed("c" * 64, 12),
    "click-8.1.7-cp313-cp313-win_amd64.whl": Listed("d" * 64, 13),
}


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self._href, self.meta = {}, "", {}

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self._href = dict(attrs)["href"]
        elif tag == "meta":
            self.meta.update({dict(attrs).get("name"): dict(attrs).get("content")})

    def handle_data(self, data):
        if self._href:
            self.found[data] = self._href
            self._href = ""


def links(page):
    parser = Links()
    parser.feed(page.decode("ascii"))
    parser.close()
    assert parser.meta["pypi:repository-version"] == "1.1"
    return parser.found


def test_projects_are_listed_by_their_normalised_names():
    pages = index_pages(WHEELS)
    assert set(pages) == {
        f"simple/{folder}index.{kind}"
        for folder in ("", "click/", "my-app/")
        for kind in ("html", "json")
    }
    assert links(pages["simple/index.html"]) == {"click": "click/", "my-app": "my-app/"}
    table = json.loads(pages[START])
    assert table == {
        "meta": {"api-version": "1.1"},
        "projects": [{"name": "click"}, {"name": "my-app"}],
    }


def test_pages_and_json_lead_to_the_same_files():
    pages = index_pages(WHEELS)
    seen = {}
    for project in ("click", "my-app"):
        page = f"{BASE}{project}/"
        table = json.loads(pages[f"simple/{project}/index.json"])
        assert (table["name"], table["meta"]) == (project, {"api-version": "1.1"})
        shown = {
            name: urldefrag(urljoin(page, href))
            for name, href in links(pages[f"simple/{project}/index.html"]).items()
        }
        told = {each["filename"]: each for each in table["files"]}
        assert set(shown) == set(told)
        for name, (url, fragment) in shown.items():
            listed = WHEELS[name]
            assert unquote(url) == f"http://h/python/wheels/{name}"
            assert fragment == f"sha256={listed.sha256}"
            assert urljoin(page, told[name]["url"]) == url
            assert told[name]["hashes"] == {"sha256": listed.sha256}
            assert told[name]["size"] == listed.size
        seen.update(shown)
    assert set(seen) == set(WHEELS)
    assert json.loads(pages["simple/my-app/index.json"])["versions"] == ["1!2.0+x.1", "1.0"]


def test_what_metadata_says_is_escaped():
    pages = index_pages({"a-1-py3-none-any.whl": Listed("a" * 64, 1, "<4,>=3.9", "b" * 64)})
    page = pages["simple/a/index.html"].decode()
    assert f' data-requires-python="&lt;4,&gt;=3.9" data-core-metadata="sha256={"b" * 64}">' in page
    (told,) = json.loads(pages["simple/a/index.json"])["files"]
    assert (told["requires-python"], told["core-metadata"]) == ("<4,>=3.9", {"sha256": "b" * 64})


def test_the_order_of_wheels_does_not_matter():
    assert index_pages(dict(reversed(WHEELS.items()))) == index_pages(WHEELS)


def test_an_index_of_nothing():
    assert set(index_pages({})) == {"simple/index.html", START}
