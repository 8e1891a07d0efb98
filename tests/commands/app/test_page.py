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
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import pytest
import requests
from PIL import Image
from skimage import data

from pipeline.commands.app import actions, page
from pipeline.images import detect_scratches
from pipeline.inference.detector import Detector, mark
from pipeline.inference.enlarger import Enlarger
from pipeline.inference.model_files import MODELS
from pipeline.inference.restorer import Restorer
from tests.clone import ROOT
from tests.conftest import GREEN

BROWSER = shutil.which("chromium") and shutil.which("chromedriver")
browsed = pytest.mark.skipif(not BROWSER, reason="needs chromium and chromedriver")
PHOTO = data.chelsea()
STRUCK = cv2.line(cv2.line(PHOTO.copy(), (60, 60), (390, 75), GREEN, 6), (100, 220), (300, 200), GREEN, 6)
PATIENCE = 60  # seconds
RING = 0.002  # of the picture: more than the ring around the brush covers


@pytest.fixture(scope="module")
def server(tmp_path_factory, green_detector) -> Iterator[str]:
    """The address of a running page, of a copy with which a small detector ships."""
    copy = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "pipeline", copy / "pipeline")
    (copy / "models").mkdir()
    for name in ("restore", "superres", "superres-degraded"):
        (copy / "models" / name).symlink_to(MODELS / name)
    (copy / "models/detect").symlink_to(green_detector)
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}  # Gradio takes the first free port
    command = [sys.executable, "-m", "pipeline.commands.main", "app"]
    with subprocess.Popen(command, cwd=copy, env=environment, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if found := re.search(r"http://\S+", line):
                yield found[0]
                break
        process.terminate()


@pytest.fixture
def photo(tmp_path) -> Path:
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


DESK, DENSE, TELEPHONE = (1, None), (2, None), (3, 390)  # CSS pixel ratio, and the width of an emulated telephone


@pytest.fixture
def browser(request, server, tmp_path):
    """Chromium at the page; its downloads go to `tmp_path/downloads`."""
    from selenium import webdriver

    ratio, width = getattr(request, "param", DESK)
    options = webdriver.ChromeOptions()
    for argument in ("headless=new", "no-sandbox", "enable-unsafe-swiftshader", "window-size=1280,1400"):
        options.add_argument(f"--{argument}")
    options.add_argument(f"--force-device-scale-factor={ratio}")
    if width:
        metrics = {"width": width, "height": 844, "pixelRatio": ratio, "touch": True}
        options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path / "downloads")})
    with webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver"))) as driver:
        driver.implicitly_wait(PATIENCE)
        driver.get(server)
        yield driver


def upload(browser, name: str, path: Path) -> None:
    browser.find_element("css selector", f"#{name} input[type=file]").send_keys(str(path))


def paint(browser, name: str = "canvas", down: int = 0) -> None:
    """A stroke across the middle of the canvas, or so many px below it, once the photo is there."""
    from selenium.webdriver import ActionChains

    canvas = browser.find_element("css selector", f"#{name} canvas")
    until(browser, lambda: seen(browser, name).std() > 10)
    moves = ActionChains(browser).move_to_element_with_offset(canvas, 0, down).click_and_hold()
    moves.move_by_offset(60, 10).move_by_offset(20, 20).release().perform()
    ActionChains(browser).move_by_offset(-80, 300).perform()  # away, with the ring around the brush


def seen(browser, name: str = "canvas") -> np.ndarray:
    """The canvas as it is on the screen, in the middle of the window, without its tools; uint8 RGB HW3."""
    canvas = browser.find_element("css selector", f"#{name} canvas")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    tools = f"document.querySelectorAll('#{name} .toolbar-wrap')"
    browser.execute_script(f"{tools}.forEach(tool => tool.style.visibility = 'hidden')")  # they are pink too
    return np.asarray(Image.open(BytesIO(canvas.screenshot_as_png)).convert("RGB"))


def is_paint(pixels: np.ndarray) -> np.ndarray:
    return (np.abs(pixels.astype(int) - (255, 0, 255)) < 40).all(axis=-1)


def shown_paint(browser, name: str = "canvas") -> np.ndarray:
    """Where paint is seen on the picture; bool, at the picture's size on the screen.

    The page around the picture is white.
    """
    pixels = seen(browser, name)
    coloured = (pixels < 235).any(axis=-1)
    rows = longest_run(coloured.mean(axis=1) > 0.5)
    columns = longest_run(coloured[rows].sum(axis=0) > 0.6 * (rows.stop - rows.start))
    return is_paint(pixels[rows, columns])


def longest_run(flags: np.ndarray) -> slice:
    """Where the most neighbours in a row are true."""
    edges = np.flatnonzero(np.diff([0, *flags, 0]))
    return slice(*max(edges.reshape(-1, 2), key=np.ptp, default=(0, 0)))


def agree(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two masks are the same where each is looked at within 3 px of the other, at the size of the second."""
    scaled = np.asarray(Image.fromarray(one).resize(other.shape[::-1]))
    near = [cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0 for mask in (scaled, other)]
    return bool(scaled.any() and (scaled & near[1]).sum() > 0.95 * scaled.sum() and near[0][other].mean() > 0.95)


def press(browser, label: str) -> None:
    """The button of that label, which is on the open tab."""
    named = f"//button[contains(normalize-space(), '{label}')]"
    button = until(browser, lambda: next((b for b in browser.find_elements("xpath", named) if b.is_displayed()), None))
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'}); arguments[0].click()", button)


def click_on(browser, tool: str, name: str = "canvas") -> None:
    """A tool of the canvas, or of another component."""
    button = browser.find_element("css selector", f"#{name} button[aria-label='{tool}']")
    browser.execute_script("arguments[0].click()", button)


def until(browser, condition: Callable[[], Any]) -> Any:
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, PATIENCE).until(lambda _: condition())


def download(browser, name: str, folder: Path) -> np.ndarray:
    """The result's file, once it is there. It is taken out of the folder of downloads."""
    button = browser.find_element("id", f"{name}-download")
    until(browser, button.is_enabled)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()  # by a hand: Chromium blocks a second download that a script starts
    path = until(browser, lambda: next(iter((folder / "downloads").glob("*.png")), None))
    restored = np.asarray(Image.open(path))
    path.unlink()
    return restored


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


def example_damage(name: str) -> np.ndarray:
    """Where the damage of an example is, as the page shows it."""
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        patch.setenv("GRADIO_TEMP_DIR", folder)
        _, editor = actions.show_example(name)
        height, width = editor["background"].shape[:2]
        return editor["layers"][0][:height, :width, 3] > 0


@pytest.mark.long
@browsed
@pytest.mark.parametrize(
    "browser", [DESK, *(pytest.param(screen, marks=pytest.mark.slow) for screen in (DENSE, TELEPHONE))], indirect=True
)
def test_after_a_stroke_examples_and_found_damage_lie_where_the_damage_is(browser, photo, tmp_path, green_detector):
    upload(browser, "photo", photo)
    paint(browser)
    until(browser, lambda: shown_paint(browser).any())
    for name in ("paint", "scratches"):
        press(browser, f"Example: {name}")
        hole = example_damage(name)
        until(browser, lambda hole=hole: agree(shown_paint(browser), hole))
        paint(browser)
        until(browser, lambda hole=hole: not agree(shown_paint(browser), hole))
    click_on(browser, "Clear", "photo")
    Image.fromarray(STRUCK).save(photo)
    upload(browser, "photo", photo)
    until(browser, lambda: (shown := shown_paint(browser)).size and shown.mean() < RING)
    press(browser, "Find the damage")
    found, _ = mark(Detector.load(green_detector)(STRUCK))
    until(browser, lambda: agree(shown_paint(browser), found))
    click_on(browser, "Erase")
    height = shown_paint(browser).shape[0] / browser.execute_script("return devicePixelRatio")
    paint(browser, down=round(0.19 * height))  # where the lower stroke is
    until(browser, lambda: shown_paint(browser).mean() < found.mean() - RING)
    click_on(browser, "Brush")
    paint(browser)
    until(browser, lambda: shown_paint(browser).mean() > found.mean() + RING)
    visible = shown_paint(browser)
    browser.execute_script("document.getElementById('restore').click()")
    restored = download(browser, "restored", tmp_path)
    changed = (restored != STRUCK).any(axis=-1)
    assert agree(visible, changed)


@browsed
@pytest.mark.long
def test_the_threshold_decides_how_much_is_marked_and_a_heat_map_shows_why(browser, photo, green_detector):
    from selenium.webdriver import ActionChains

    def move(to: float) -> None:
        """The slider, to a share of its length from the middle."""
        slider = browser.find_element("css selector", "#threshold input[type=range]")
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", slider)
        there = ActionChains(browser).move_to_element_with_offset(slider, round(to * slider.size["width"]), 0)
        there.click().perform()

    Image.fromarray(STRUCK).save(photo)
    upload(browser, "photo", photo)
    press(browser, "Find the damage")
    probability = Detector.load(green_detector)(STRUCK)
    until(browser, lambda: agree(shown_paint(browser), mark(probability)[0]))
    heat = browser.find_element("css selector", "#heat img")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", heat)
    shown = np.asarray(Image.open(BytesIO(heat.screenshot_as_png)).convert("RGB").resize(PHOTO.shape[1::-1]))
    yellow = shown[..., 0].astype(int) - shown[..., 2]
    sure = cv2.erode((probability > 0.9).astype(np.uint8), np.ones((3, 3))) > 0
    assert yellow[sure].mean() > 100
    assert np.abs(yellow[probability < 0.01]).mean() < 20
    shares = []
    for to in (-0.45, 0.45):
        before = shown_paint(browser)
        move(to)
        until(
            browser, lambda before=before: (now := shown_paint(browser)).size and abs(now.mean() - before.mean()) > RING
        )
        shares.append(shown_paint(browser).mean())
    assert shares[0] > shares[1] + RING > RING
    press(browser, "Example: stains")
    until(browser, lambda: "coffee" in browser.find_element("id", "photo").text)
    browser.implicitly_wait(0)
    until(browser, lambda: not browser.find_elements("css selector", "#heat img"))


@browsed
@pytest.mark.long
def test_undo_clearing_and_a_second_photo_leave_the_photo_without_the_paint(browser, photo, tmp_path):
    def bare(like: np.ndarray) -> bool:
        """Whether the canvas shows a picture of these proportions without paint, but for the ring around the brush."""
        shown = shown_paint(browser)
        height, width = shown.shape
        return shown.size > 0 and shown.mean() < RING and abs(height / width * like.shape[1] / like.shape[0] - 1) < 0.05

    upload(browser, "photo", photo)
    for undo in ("Undo", "Clear canvas"):
        paint(browser)
        until(browser, lambda: shown_paint(browser).mean() > RING)
        click_on(browser, undo)
        until(browser, lambda: bare(PHOTO))
    click_on(browser, "Undo")
    assert bare(PHOTO)
    paint(browser)
    other = np.ascontiguousarray(PHOTO.transpose(1, 0, 2)[:200])
    Image.fromarray(other).save(tmp_path / "other.png")
    click_on(browser, "Clear", "photo")
    until(browser, lambda: not shown_paint(browser).size)
    upload(browser, "photo", tmp_path / "other.png")
    until(browser, lambda: bare(other))
    paint(browser)
    until(browser, lambda: shown_paint(browser).mean() > RING)
    visible = shown_paint(browser)
    browser.execute_script("document.getElementById('restore').click()")
    assert agree(visible, (download(browser, "restored", tmp_path) != other).any(axis=-1))


@browsed
@pytest.mark.slow
def test_an_object_that_is_painted_over_is_inserted(browser, photo, tmp_path):
    browser.find_element("xpath", "//button[@role='tab'][contains(., 'Insert')]").click()
    upload(browser, "object-photo", photo)
    paint(browser, "object-canvas")
    until(browser, lambda: shown_paint(browser, "object-canvas").mean() > RING)
    Image.fromarray(PHOTO[::-1]).save(tmp_path / "target.png")
    upload(browser, "target-photo", tmp_path / "target.png")
    until(browser, lambda: "target" in browser.find_element("id", "target-photo").text)
    browser.execute_script("document.getElementById('insert').click()")
    changed = (download(browser, "inserted", tmp_path) != PHOTO[::-1]).any(axis=-1)
    rows, columns = np.nonzero(changed)
    assert abs(np.mean(rows) / PHOTO.shape[0] - 0.5) < 0.1
    assert abs(np.mean(columns) / PHOTO.shape[1] - 0.5) < 0.1
    assert changed.mean() > shown_paint(browser, "object-canvas").mean() / 2


@browsed
@pytest.mark.long
def test_a_download_is_always_of_what_is_shown(browser, photo, tmp_path):
    button = browser.find_element("id", "restored-download")
    assert not button.is_enabled()
    upload(browser, "photo", photo)
    paint(browser)
    for _ in range(2):
        enabled = "const button = document.getElementById('restored-download'); "
        click = "document.getElementById('restore').click(); requestAnimationFrame(() => requestAnimationFrame(() => "
        done = "arguments[0](button.disabled || button.getAttribute('aria-disabled') === 'true')))"
        assert browser.execute_async_script(enabled + click + done)
        download(browser, "restored", tmp_path)
    bare = browser.find_element("css selector", "#canvas button[aria-label='Clear canvas']")
    browser.execute_script("arguments[0].click()", bare)
    until(browser, lambda: (shown := shown_paint(browser)).size and shown.mean() < RING)
    browser.execute_script("document.getElementById('restore').click()")  # which fails
    until(browser, lambda: "nothing is painted" in browser.find_element("css selector", ".toast-body").text)
    until(browser, lambda: browser.find_element("id", "restore").is_enabled())
    assert not button.is_enabled()
    assert browser.execute_script("return document.querySelectorAll('#restored-slider img').length") == 0


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


@pytest.mark.long
def test_ten_people_at_once_are_served(server, photo):
    from gradio_client import Client, handle_file

    layer = np.zeros((*PHOTO.shape[:2], 4), np.uint8)
    layer[100:120, 50:300] = 255
    Image.fromarray(layer).save(photo.with_name("layer.png"))

    def restored(_: int) -> np.ndarray:
        files = handle_file(str(photo)), handle_file(str(photo.with_name("layer.png")))
        editor = {"background": files[0], "layers": [files[1]], "composite": files[0]}
        client = Client(server, verbose=False)
        return np.asarray(
            Image.open(client.predict(files[0], editor, actions.DAMAGE, actions.GAN, 1, api_name="/restore")[1])
        )

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
        Client(server, verbose=False).predict(files[0], editor, actions.DAMAGE, actions.GAN, 1, api_name="/restore")


def test_pictures_are_uploaded_and_not_fetched_from_addresses(server):
    from gradio_client import Client
    from gradio_client.exceptions import AppError

    address = {"path": "https://example.org/photo.png", "meta": {"_type": "gradio.FileData"}}
    with pytest.raises(AppError, match="addresses are not fetched"):
        Client(server, verbose=False).predict(address, 2, api_name="/enlarge")


def test_no_request_skips_the_queue_that_bounds_what_is_worked_on_at_once(server):
    answer = requests.post(f"{server.rstrip('/')}/gradio_api/run/enlarge", json={"data": [None, 2]}, timeout=PATIENCE)
    assert "join the queue" in answer.json()["detail"]
    built = page.build_page(Restorer.load(), [Enlarger.load()] * 2, Detector(lambda image: image[..., 0]))
    built.queue(default_concurrency_limit=1)
    working = [function for function in built.fns.values() if function.fn]
    assert {function.concurrency_id for function in working} == {page.PREVIEWS, page.RESTORATIONS}
    assert {function.concurrency_limit for function in working} == {"default"}


@pytest.mark.parametrize("name", actions.EXAMPLES)
def test_each_example_can_be_restored(name, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    path, editor = actions.show_example(name)
    (before, after), _ = actions.restore_photo(Restorer.load(), path, editor, actions.DAMAGE, actions.GAN, 1)
    hole = editor["layers"][0][: before.shape[0], : before.shape[1], 3] > 0
    assert np.array_equal(before[~hole], after[~hole])
    assert (before != after).any(axis=-1)[hole].mean() > 0.9


def test_the_slider_of_fidelity_decides(photo, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    hole = np.zeros(PHOTO.shape[:2], bool)
    hole[40:90, 50:110] = True
    editor = actions.paint_over(PHOTO, hole)
    for fidelity in (0, 1):
        _, path = actions.restore_photo(Restorer.load(), str(photo), editor, actions.OBJECT, actions.GAN, fidelity)
        expected = Restorer.load().restore(PHOTO, hole, False, fidelity)
        assert np.array_equal(np.asarray(Image.open(path)), expected)


def test_enlarging_and_inserting_give_files(photo, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    (_, after), path = actions.enlarge_photo([Enlarger.load()] * 2, str(photo), 2)
    assert np.asarray(Image.open(path)).shape == (2 * PHOTO.shape[0], 2 * PHOTO.shape[1], 3)
    assert after.shape[1] == 2 * PHOTO.shape[1]
    hole = np.zeros(PHOTO.shape[:2], bool)
    hole[100:200, 150:250] = True
    editor = actions.paint_over(PHOTO, hole)
    _, path = actions.place_object(Restorer.load(), str(photo), editor, str(photo), 10, 10, 50)
    changed = (np.asarray(Image.open(path)) != PHOTO).any(axis=-1)
    assert changed[:60, :75].any()
    assert not changed[90:].any()
    with pytest.raises(page.UserError, match="nothing is painted"):
        actions.restore_photo(
            Restorer.load(), str(photo), actions.show_for_painting(str(photo)), actions.DAMAGE, actions.GAN, 1
        )
    with pytest.raises(page.UserError, match="drop a photo first"):
        actions.propose_scratches(None)


def test_damage_is_looked_for_once_and_a_second_threshold_only_marks(photo, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    calls = []

    def of_brightness(image: np.ndarray) -> np.ndarray:
        calls.append(1)
        return image[..., 0]

    detector = Detector(of_brightness)
    probability = detector(PHOTO)
    calls.clear()
    for threshold in (0.9, 0.5, 0.99):
        editor, heat, line = actions.find_damage(detector, str(photo), threshold)
        hole, doubtful = mark(probability, threshold)
        assert np.array_equal(editor["layers"][0][: hole.shape[0], : hole.shape[1], 3] > 0, hole)
        assert heat.shape == PHOTO.shape and heat.dtype == np.uint8
        assert (f"doubtful regions, not marked: {doubtful}" in line) == (doubtful > 0)
        assert ("No damage is found" in line) == (not hole.any())
    assert len(calls) == 2  # at two scales
    with pytest.raises(page.UserError, match="drop a photo first"):
        actions.find_damage(detector, None, 0.5)


def test_without_a_detector_scratches_are_proposed(photo, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    struck = PHOTO.copy()
    struck[100:102, 20:400] = 255
    Image.fromarray(struck).save(photo)
    editor = actions.propose_scratches(str(photo))
    assert np.array_equal(
        editor["layers"][0][: PHOTO.shape[0], : PHOTO.shape[1], 3] > 0, detect_scratches.detect(struck)
    )
    built = page.build_page(Restorer.load(), [Enlarger.load()] * 2, None)
    buttons = [block.value for block in built.blocks.values() if block.get_block_name() == "button"]
    assert "Propose scratches (a guess: look at it)" in buttons and "Find the damage" not in buttons


def test_an_upload_of_too_many_pixels_is_refused(tmp_path):
    Image.new("1", (9000, 9000)).save(tmp_path / "large.png")
    with pytest.raises(page.UserError, match="large.png: 9000 x 9000 px; at most 25 million pixels"):
        actions.open_upload(str(tmp_path / "large.png"))


def test_old_files_are_forgotten(tmp_path):
    old, new = tmp_path / "a/old.png", tmp_path / "a/new.png"
    old.parent.mkdir()
    for path in (old, new):
        path.touch()
    os.utime(old, (0, 0))
    page.sweep(tmp_path, page.AGE)
    assert not old.exists()
    assert new.exists()
