import pytest

from support.tinyapp import App, make_bundles


@pytest.fixture(scope="session")
def app_bundles(tmp_path_factory):
    return make_bundles(tmp_path_factory.mktemp("app"))


@pytest.fixture
def app(tmp_path, app_bundles):
    made = App(tmp_path / "place")
    made.install(app_bundles.first)
    return made
