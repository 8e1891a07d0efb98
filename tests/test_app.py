"""The page, in a browser: upload, paint, restore, download."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

from pipeline import app
from pipeline.restore.restorer import MODELS, Restorer
from tests.clone import ROOT

BROWSER = shutil.which("chromium") and shutil.which("chromedriver")
browsed = pytest.mark.skipif(not BROWSER, reason="needs chromium and chromedriver")
PHOTO = data.chelsea()
PATIENCE = 60  # seconds


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a running page."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}  # Gradio takes the first free port
    command = [sys.executable, "-m", "pipeline.app"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if found := re.search(r"http://\S+", line):
                yield found[0]
                break
        process.terminate()


@pytest.fixture
def photo(tmp_path) -> Path:
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def browser(server, tmp_path):
    """Chromium at the page; its downloads go to `tmp_path/downloads`."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for argument in ("headless=new", "no-sandbox", "enable-unsafe-swiftshader", "window-size=1280,1400"):
        options.add_argument(f"--{argument}")
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path / "downloads")})
    with webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver"))) as driver:
        driver.implicitly_wait(PATIENCE)
        driver.get(server)
        yield driver


def upload(browser, name: str, path: Path) -> None:
    browser.find_element("css selector", f"#{name} input[type=file]").send_keys(str(path))


def paint(browser) -> None:
    """A stroke across the middle of the canvas, once the photo is there."""
    from selenium.webdriver import ActionChains

    canvas = browser.find_element("css selector", "#canvas canvas")
    until(browser, lambda: np.asarray(Image.open(BytesIO(canvas.screenshot_as_png))).std() > 10)
    moves = ActionChains(browser).move_to_element(canvas).click_and_hold()
    moves.move_by_offset(60, 10).move_by_offset(20, 20).release().perform()


def until(browser, condition: Callable[[], Any]) -> Any:
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, PATIENCE).until(lambda _: condition())


def download(browser, name: str, folder: Path) -> np.ndarray:
    """The result's file, once it is there."""
    until(browser, lambda: browser.find_element("css selector", f"#{name}-slider img"))
    browser.find_element("id", f"{name}-download").click()
    path = until(browser, lambda: next(iter((folder / "downloads").glob("*.png")), None))
    return np.asarray(Image.open(path))


@browsed
def test_what_is_painted_over_is_restored_and_nothing_else(browser, photo, tmp_path):
    speckled = PHOTO.copy()
    speckled[::7, ::5] = 255
    Image.fromarray(speckled).save(photo)
    upload(browser, "photo", photo)
    paint(browser)
    browser.find_element("id", "restore").click()
    restored = download(browser, "restored", tmp_path)
    changed = (restored != speckled).any(axis=-1)
    assert restored.shape == speckled.shape
    assert 100 < changed.sum() < 0.2 * changed.size
    rows, columns = np.nonzero(changed)
    assert rows.min() > 0.2 * PHOTO.shape[0]
    assert columns.min() > 0.2 * PHOTO.shape[1]


@browsed
def test_a_bad_file_gets_a_message(browser, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"this is no picture")
    upload(browser, "photo", tmp_path / "bad.png")
    until(browser, lambda: "bad.png: unreadable picture" in browser.find_element("css selector", ".toast-body").text)


@browsed
def test_it_fits_a_telephone_and_asks_no_other_host(browser, server):
    browser.set_window_size(500, 900)  # the narrowest of headless Chromium
    browser.find_element("id", "restore")
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    loaded = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [name for name in loaded if not name.startswith((server.rstrip("/"), "data:", "blob:"))] == []


def test_ten_people_at_once_are_served(server, photo):
    from gradio_client import Client, handle_file

    layer = np.zeros((*PHOTO.shape[:2], 4), np.uint8)
    layer[100:120, 50:300] = 255
    Image.fromarray(layer).save(photo.with_name("layer.png"))

    def restored(_: int) -> np.ndarray:
        files = handle_file(str(photo)), handle_file(str(photo.with_name("layer.png")))
        editor = {"background": files[0], "layers": [files[1]], "composite": files[0]}
        client = Client(server, verbose=False)
        return np.asarray(Image.open(client.predict(files[0], editor, app.DAMAGE, app.GAN, api_name="/restore")[1]))

    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(restored, range(10)))
    hole = layer[..., 3] > 0
    for result in results:
        assert np.array_equal(result, results[0])
        assert np.array_equal(result[~hole], PHOTO[~hole])


def test_a_painting_of_too_many_pixels_is_refused(server, photo):
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    Image.new("1", (9000, 9000)).save(photo.with_name("large.png"))
    files = handle_file(str(photo)), handle_file(str(photo.with_name("large.png")))
    editor = {"background": files[0], "layers": [files[1]], "composite": files[0]}
    with pytest.raises(AppError, match="9000 x 9000 px"):
        Client(server, verbose=False).predict(files[0], editor, app.DAMAGE, app.GAN, api_name="/restore")


@pytest.mark.parametrize("name", app.EXAMPLES)
def test_each_example_can_be_restored(name, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    path, editor = app.example(name)
    (before, after), _ = app.restored(Restorer.load(), path, editor, app.DAMAGE, app.GAN)
    hole = editor["layers"][0][: before.shape[0], : before.shape[1], 3] > 0
    assert np.array_equal(before[~hole], after[~hole])
    assert (before != after).any(axis=-1)[hole].mean() > 0.9


def test_enlarging_and_inserting_give_files(photo, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    (_, after), path = app.enlarged(Restorer.load(MODELS / "superres"), str(photo), 2)
    assert np.asarray(Image.open(path)).shape == (2 * PHOTO.shape[0], 2 * PHOTO.shape[1], 3)
    assert after.shape[1] == 2 * PHOTO.shape[1]
    hole = np.zeros(PHOTO.shape[:2], bool)
    hole[100:200, 150:250] = True
    editor = app.painted_over(PHOTO, hole)
    _, path = app.inserted(Restorer.load(), str(photo), editor, str(photo), 10, 10, 50)
    changed = (np.asarray(Image.open(path)) != PHOTO).any(axis=-1)
    assert changed[:60, :75].any()
    assert not changed[90:].any()
    with pytest.raises(app.UserError, match="nothing is painted"):
        app.restored(Restorer.load(), str(photo), app.shown_for_painting(str(photo)), app.DAMAGE, app.GAN)
    with pytest.raises(app.UserError, match="drop a photo first"):
        app.proposed(None)


def test_an_upload_of_too_many_pixels_is_refused(tmp_path):
    Image.new("1", (9000, 9000)).save(tmp_path / "large.png")
    with pytest.raises(app.UserError, match="large.png: 9000 x 9000 px; at most 25 million pixels"):
        app.opened(str(tmp_path / "large.png"))


def test_old_files_are_forgotten(tmp_path):
    old, new = tmp_path / "a/old.png", tmp_path / "a/new.png"
    old.parent.mkdir()
    for path in (old, new):
        path.touch()
    os.utime(old, (0, 0))
    app.sweep(tmp_path, app.AGE)
    assert not old.exists()
    assert new.exists()
