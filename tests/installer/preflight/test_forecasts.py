from pathlib import Path

import pytest

from kitbag_bundles.bundle import Bundle
from kitbag_bundles.reporting import SilentReporter
from kitbag_bundles.requests import parse_requests
from kitbag_installer.hosts import this_host
from kitbag_installer.installation import InstallOptions, install_builds
from kitbag_installer.preflight.forecasts import Forecast, forecast
from kitbag_installer.preflight.plans import Plan, plan_install
from kitbag_installer.roots import Root
from support.bundled import host_key, tiny_bundle

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
HOST = this_host()


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("b") / "x.kitbag", "3.12.9", "3.13.4", "3.13.5")


def plan(path: Path, place: Path, *requests: str, bin_dir: str = "") -> Plan:
    with Bundle.open(path) as bundle:
        wanted = parse_requests(requests)
        root = Root(str(place))
        return plan_install(bundle, root, wanted, HOST, reinstall=False, bin_dir=bin_dir)


@pytest.mark.parametrize("default", [False, True])
@pytest.mark.parametrize("force", [False, True])
def test_a_forecast_is_what_the_install_does(path, tmp_path, default, force):
    place, bin_dir = tmp_path / "root", tmp_path / "bin"
    options = {"bin_dir": str(bin_dir), "default": default, "force": force}
    steps = [("3.13.4",), ("3.12",), (), ("3.13.4",)]
    for step, requests in enumerate(steps):
        if step == 1:
            (bin_dir / "kitbag").write_text("theirs")
            (bin_dir / "python3.12").write_text("theirs")
            (place / host_key("3.12.9").minor_key).mkdir()
        expected = forecast(plan(path, place, *requests, bin_dir=str(bin_dir)), **options)
        with Bundle.open(path) as bundle:
            done = install_builds(
                bundle,
                Root(str(place)),
                parse_requests(requests),
                HOST,
                InstallOptions(**options),
                SilentReporter(),
            )
        assert expected == Forecast(
            done.minor_links,
            done.bin_links,
            done.refused_names,
            done.command,
            done.turned_links,
        )


def test_without_a_bin_directory_nothing_is_forecast_for_it(path, tmp_path):
    found = forecast(plan(path, tmp_path / "r", "3.12"), bin_dir="", default=True, force=True)
    minor = host_key("3.12.9").minor_key
    link = f"{tmp_path}/r/{minor}"
    assert found == Forecast({link: f"{tmp_path}/r/{host_key('3.12.9')}"}, {}, (), "")
