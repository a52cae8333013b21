"""TensorBoard in a real browser: what a user sees of a search is what the search reports."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.fakes import record, space_of

from tuner_app.records.results import FoldResult
from tuner_app.records.tasks import FoldTask

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
RATES, NODES = [0.001, 0.002, 0.003], [32, 64, 128, 256, 512]
PATIENCE_SECONDS = 60

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER and importlib.util.find_spec("selenium")),
        reason="needs selenium, chromium and chromedriver (Debian: apt install chromium chromium-driver)",
    ),
]

# As TensorBoard starts where TensorFlow is not installed: in one second instead of fifteen.
SERVE = "import sys; sys.modules['tensorflow'] = None; from tensorboard.main import run_main; run_main()"
# TensorBoard's pages are nested shadow trees, which CSS selectors of a document do not enter.
FIND_ALL = """
const found = [];
const walk = root => root.querySelectorAll('*').forEach(element => {
  if (element.matches(arguments[0])) found.push(element);
  if (element.shadowRoot) walk(element.shadowRoot);
});
walk(document);
return found;
"""
# The grid's rows hold slots; the texts hang below the grid itself, under the slots' names.
TABLE = """
const grid = arguments[0];
const text = cell => {
  const slot = cell.querySelector('slot');
  const content = slot && grid.querySelector(`[slot="${slot.name}"]`);
  return content ? content.innerText.trim() : '';
};
return [...grid.shadowRoot.querySelectorAll('tr')]
  .filter(row => !row.hidden && row.offsetHeight > 0)
  .map(row => [...row.querySelectorAll('th, td')].map(text));
"""


@pytest.fixture(name="logs", scope="module")
def logs_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser") / "logs"


@pytest.fixture(name="server", scope="module")
def server_fixture(logs: Path, tuner: Any) -> Iterator[subprocess.Popen[bytes]]:
    """TensorBoard on a free port of this machine."""
    command = [sys.executable, "-c", SERVE, "--logdir", str(logs), "--host", "127.0.0.1", "--port", "0"]
    with (logs.parent / "server.log").open("wb") as output:
        process = subprocess.Popen([*command, "--reload_interval", "1"], stdout=output, stderr=output)
    yield process
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def fit(task: FoldTask) -> FoldResult:
    """A fit that is not trained: five epochs up to a score that tells candidates and folds apart."""
    score = 0.9 - 1 / task.values["nodes"] - task.values["learning_rate"] * 3 + task.fold / 97
    rise = [score - 0.1 / epoch for epoch in (1, 2, 3, 4)] + [score]
    metrics = {"accuracy": [value + 0.02 for value in rise], "val_accuracy": rise}
    losses = {"loss": [0.9 - value for value in rise], "val_loss": [1 - value for value in rise]}
    return record(task, history=metrics | losses, final_epoch=5, confusion=[[17, 3], [5, 15]], started=time.time())


@pytest.fixture(name="tuner", scope="module")
def tuner_fixture(logs: Path) -> Any:
    """A search of 15 candidates after its end."""
    from tuner_app.tuners.grid_search import GridSearchCV
    from tuner_app.views.tensorboard.observer import TensorBoardLogs

    tuner = GridSearchCV(
        space_of({"learning_rate": RATES, "nodes": NODES}),
        objective="val_accuracy",
        fold_fitter=fit,
        directory=logs,
        project_name="search",
        observers=[TensorBoardLogs()],
        verbose=0,
    )
    tuner.search(np.zeros((40, 2)), np.arange(40) % 2)
    return tuner


@pytest.fixture(name="address", scope="module")
def address_fixture(server: subprocess.Popen[bytes], logs: Path) -> str:
    """Where TensorBoard answers."""

    def announced() -> str | None:
        said = (logs.parent / "server.log").read_text(errors="replace")
        assert server.poll() is None, said
        match = re.search(r"at (http://127\.0\.0\.1:\d+/)", said)
        return match and match.group(1)

    return wait_for(announced, "TensorBoard's address")


@pytest.fixture(name="browser", scope="module")
def browser_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    profile = tmp_path_factory.mktemp("profile")
    switches = ["headless", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking"]
    switches += ["disable-component-update", "disable-sync", "disable-dev-shm-usage", "no-proxy-server"]
    switches += ["window-size=1400,1400", f"user-data-dir={profile}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        switches.append("no-sandbox")  # Chromium's sandbox refuses to run as root.
    for switch in switches:
        options.add_argument(f"--{switch}")
    browser = webdriver.Chrome(options=options, service=Service(DRIVER))
    browser.set_page_load_timeout(PATIENCE_SECONDS)
    yield browser
    browser.quit()


def wait_for(read: Callable[[], Any], what: str, *, seconds: float = PATIENCE_SECONDS, required: bool = True) -> Any:
    """The first true answer of `read`; an element that vanished while it was read counts as no answer yet."""
    from selenium.common.exceptions import JavascriptException, StaleElementReferenceException

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(JavascriptException, StaleElementReferenceException):
            if found := read():
                return found
        time.sleep(0.1)
    assert not required, f"{what} did not come within {seconds} seconds"
    return None


def find_all(browser: Any, selector: str) -> list[Any]:
    found: list[Any] = browser.execute_script(FIND_ALL, selector)
    return found


def open_page(browser: Any, url: str) -> None:
    browser.get("about:blank")  # A new fragment alone would not load the page again.
    browser.get(url)


def read_table(browser: Any) -> list[dict[str, str]]:
    """The HParams table, a dict of column to text for each row."""
    grids = find_all(browser, "vaadin-grid")
    head, *rows = browser.execute_script(TABLE, grids[0]) if grids else [[]]
    return [dict(zip(head, row, strict=False)) for row in rows]  # the last cells belong to a column without a head


@pytest.fixture(name="table", scope="module")
def table_fixture(browser: Any, address: str) -> list[dict[str, str]]:
    """The HParams table, once TensorBoard has read all files; a page asks for them only when it is loaded."""

    def read() -> list[dict[str, str]]:
        open_page(browser, f"{address}#hparams")
        wait_for(lambda: find_all(browser, "vaadin-grid, tf-hparams-main, .no-data-warning"), "the HParams page")
        return wait_for(whole, "whole rows", seconds=5, required=False) or []

    def whole() -> list[dict[str, str]]:
        rows = read_table(browser)
        is_whole = len(rows) >= len(RATES) * len(NODES) and all(row.get("mean_test_score") for row in rows)
        return rows if is_whole else []

    found: list[dict[str, str]] = wait_for(read, "a row with a score for each candidate")
    return found


def exactly(count: int, found: list[Any]) -> list[Any]:
    return found if len(found) == count else []


def colours(png: bytes) -> int:
    """How many pixels of a picture are neither white, grey nor black."""
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=np.int16)
    return int(((pixels.max(axis=-1) - pixels.min(axis=-1)) > 60).sum())


def test_the_hparams_table_has_a_row_for_each_candidate_with_its_reported_score(
    table: list[dict[str, str]], tuner: Any
) -> None:
    shown = {(float(row["learning_rate"]), int(float(row["nodes"]))): float(row["mean_test_score"]) for row in table}
    results = zip(tuner.cv_results_["params"], tuner.cv_results_["mean_test_score"], strict=True)
    reported = {(params["learning_rate"], params["nodes"]): mean for params, mean in results}

    assert len(table) == len(reported) == 15
    assert shown == pytest.approx(reported, rel=1e-4)  # five digits are shown


def test_the_objective_in_the_table_is_the_mean_over_the_folds(table: list[dict[str, str]]) -> None:
    """TensorBoard takes it from the last values of each fold's own curve."""
    means = [float(row["mean_test_score"]) for row in table]
    assert [float(row["val_accuracy"]) for row in table] == pytest.approx(means, rel=1e-4)


@pytest.mark.usefixtures("table")
def test_the_mean_curves_of_the_folds_are_drawn(browser: Any, address: str) -> None:
    open_page(browser, f"{address}?runFilter=mean%2Fvalidation&tagFilter=epoch_#timeseries")

    cards = wait_for(lambda: exactly(2, find_all(browser, "scalar-card")), "two charts")
    titles = {card.text.split()[0] for card in cards}
    drawings = wait_for(lambda: exactly(2, find_all(browser, "scalar-card .series-view")), "the charts' drawings")

    assert titles == {"epoch_accuracy", "epoch_loss"}
    wait_for(lambda: all(colours(drawing.screenshot_as_png) > 100 for drawing in drawings), "lines in the charts")


@pytest.mark.usefixtures("table")
def test_the_heat_map_and_the_confusion_matrix_are_shown(browser: Any, address: str) -> None:
    open_page(browser, f"{address}?runFilter=%5Esearch%24&tagFilter=heat_map%7Cconfusion#timeseries")

    loaded = "return arguments[0].complete && arguments[0].naturalWidth > 200"
    pictures = wait_for(lambda: exactly(2, find_all(browser, "image-card img")), "two pictures")
    wait_for(lambda: all(browser.execute_script(loaded, picture) for picture in pictures), "loaded pictures")
    wait_for(lambda: all(colours(picture.screenshot_as_png) > 1000 for picture in pictures), "colours in them")
