"""The page, in a browser: upload, paint, restore, download."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image
from skimage import data

from pipeline import app
from tests.clone import ROOT

BROWSER = shutil.which("chromium") and shutil.which("chromedriver")
browsed = pytest.mark.skipif(not BROWSER, reason="needs chromium and chromedriver")
PHOTO = data.chelsea()
PATIENCE = 60  # seconds


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a running page."""
    environment = os.environ | {"GRADIO_SERVER_PORT": "7871", "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
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
def browser(server):
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,1400"):
        options.add_argument(argument)
    with webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver")) as driver:
        driver.implicitly_wait(PATIENCE)
        driver.get(server)
        yield driver


def upload(browser, name: str, path: Path) -> None:
    browser.find_element("css selector", f"#{name} input[type=file]").send_keys(str(path))


def paint(browser) -> None:
    """A stroke across the middle of the canvas."""
    from selenium.webdriver import ActionChains

    canvas = browser.find_element("css selector", "#canvas canvas")
    time.sleep(2)  # the picture fades in
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    ActionChains(browser).move_to_element(canvas).click_and_hold().move_by_offset(60, 10).move_by_offset(20, 20).release().perform()


def downloaded(browser, name: str) -> np.ndarray:
    from selenium.webdriver.support.ui import WebDriverWait

    link = WebDriverWait(browser, PATIENCE).until(
        lambda driver: driver.find_element("css selector", f"#{name}-download").get_attribute("href")
        or driver.execute_script(f"return document.querySelector('#{name}-download a[href], a#{name}-download')?.href")
    )
    return np.asarray(Image.open(BytesIO(requests.get(link, timeout=PATIENCE).content)))


@browsed
def test_what_is_painted_over_is_restored_and_nothing_else(browser, photo):
    upload(browser, "photo", photo)
    paint(browser)
    browser.find_element("id", "restore").click()
    restored = downloaded(browser, "restored")
    changed = (restored != PHOTO).any(axis=-1)
    assert restored.shape == PHOTO.shape
    assert 100 < changed.sum() < 0.2 * changed.size
    rows, columns = np.nonzero(changed)
    assert rows.min() > 0.2 * PHOTO.shape[0]
    assert columns.min() > 0.2 * PHOTO.shape[1]


@browsed
def test_a_bad_file_gets_a_message(browser, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"this is no picture")
    upload(browser, "photo", tmp_path / "bad.png")
    assert "bad.png: unreadable picture" in browser.find_element("css selector", ".toast-body").text


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
