"""The report in a real browser: drawn, quiet, offline, light and dark, by keyboard, and no wider than a phone."""

from __future__ import annotations

import itertools
import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
from support.written_searches import grid_of, write_search

from tuner_app.analysis.confusion import ConfusedPicture
from tuner_app.views.report import write_report

BROWSER, DRIVER = pathlib.Path("/usr/bin/chromium"), pathlib.Path("/usr/bin/chromedriver")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver")
    if not (BROWSER.exists() and DRIVER.exists()):
        pytest.skip(f"{BROWSER} and {DRIVER} are not both here (Debian: apt install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report with every kind of plot but the heat map, long names, and a failed fit."""
    space = {
        "nodes": [32, 64, 128],
        "activation": ["relu", "<b>a very long name of an activation</b>"],
        "rate": [0.1, 0.2],
    }
    project = write_search(
        tmp_path_factory.mktemp("logs"),
        grid_of(space),
        lambda v, k: 0.9 + v["nodes"] / 10000 + v["rate"] / 100 + k / 1000,
        fold=lambda v, k: {"confusion": [[9, 1], [2, 8]]},
        failed=[(0, 1)],
        command_line=["tune.py", *(f"--option-{i}" for i in range(60))],
    )
    picture = ConfusedPicture([[0, 255], [255, 0]], 3, 8, 0.9)
    return write_report(project, pictures=[picture] * 3).as_uri()


def show(browser: Any, address: str, *, width: int = 1280, scheme: str = "light") -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get_log("performance")
    browser.get(address)


def luminance(css: str) -> float:
    red, green, blue = (int(part) / 255 for part in re.findall(r"\d+", css)[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_plots_are_drawn(browser: Any, address: str) -> None:
    show(browser, address)
    sizes = browser.execute_script(
        "return [...document.querySelectorAll('svg')].map(svg => {"
        " const box = svg.getBBox();"
        " return [svg.clientWidth, svg.clientHeight, box.width, box.height, svg.querySelectorAll('path').length] })"
    )
    assert len(sizes) == 3 + 3 + 2 + 1
    assert all(width > 250 and height > 60 for width, height, *_ in sizes)
    assert all(width > 200 and height > 50 and paths >= 5 for _, _, width, height, paths in sizes)


def test_no_mark_or_label_leaves_its_plot(browser: Any, address: str) -> None:
    show(browser, address)
    outside = browser.execute_script(
        "return [...document.querySelectorAll('svg')].flatMap(svg => {"
        " const frame = svg.getBoundingClientRect();"
        " return [...svg.querySelectorAll('text')].filter(text => { const box = text.getBoundingClientRect();"
        "  return box.left < frame.left - 2 || box.right > frame.right + 2 || box.bottom > frame.bottom + 2 })"
        "  .map(text => text.textContent) })"
    )
    assert outside == []


def test_nothing_is_loaded_and_nothing_complains(browser: Any, address: str) -> None:
    browser.get_log("browser")
    show(browser, address)
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requested = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert [url for url in requested if not url.startswith("data:")] == [address]
    assert browser.get_log("browser") == []
    loaded = browser.execute_script("return [...document.images].map(image => image.naturalWidth)")
    assert loaded == [2, 2, 2]


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_page_never_scrolls_sideways(browser: Any, address: str, width: int) -> None:
    show(browser, address, width=width)
    browser.execute_script("document.querySelectorAll('details').forEach(details => details.open = true)")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    wide = browser.execute_script(
        "return [...document.querySelectorAll('.scroll')].filter(box => box.scrollWidth > box.clientWidth)"
        ".every(box => box.tabIndex === 0)"
    )
    assert wide


def test_light_and_dark(browser: Any, address: str) -> None:
    script = (
        "const style = element => getComputedStyle(document.querySelector(element));"
        "return [style('body').backgroundColor, style('.card').backgroundColor,"
        " style('body').color, style('svg text').fill]"
    )
    show(browser, address, scheme="dark")
    *grounds, text, label = map(luminance, browser.execute_script(script))
    assert max(grounds) < 0.12
    assert min(text, label) > 0.7
    show(browser, address, scheme="light")
    *grounds, text, label = map(luminance, browser.execute_script(script))
    assert min(grounds) > 0.9
    assert max(text, label) < 0.2


def test_the_keyboard_reaches_everything_in_order(browser: Any, address: str) -> None:
    from selenium.webdriver import Keys
    from selenium.webdriver.common.action_chains import ActionChains

    show(browser, address)
    focused = (
        "const e = document.activeElement; return [e.tagName, e.className, e.getBoundingClientRect().top + scrollY]"
    )
    visited = []
    for _ in range(25):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        visited.append(browser.execute_script(focused))
    assert visited[0][:2] == ["A", "skip"]
    assert visited[0][2] >= 0
    assert {"A", "SUMMARY"} <= {tag for tag, _, _ in visited}
    tops = [top for tag, _, top in visited[1:] if tag == "A"]
    assert all(later >= earlier for earlier, later in itertools.pairwise(tops))
    browser.execute_script("document.querySelector('.skip').focus()")
    ActionChains(browser).send_keys(Keys.ENTER).perform()
    assert browser.execute_script("return document.activeElement.id") == "main"
