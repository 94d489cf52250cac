import json
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import types
import urllib.request

import numpy as np
import pytest
from PIL import Image

from dcgan_tf import load_generator
from dcgan_tf.cli import explore
from dcgan_tf.cli.actions import common
from dcgan_tf.cli.explore import Page, build_page, named_directions
from dcgan_tf.drawing.grids import GRID_MARGIN
from dcgan_tf.errors import UserError
from dcgan_tf.generation.vectors import Vector, VectorFile
from tests.conftest import ROOT, one_line
from tests.small_runs import read, write_run


def test_the_page_shows_what_its_commands_make(sample, conditional_run_dir, tmp_path):
    page = Page(load_generator(conditional_run_dir), [f"--run_dir={conditional_run_dir}"], tmp_path)
    answers = [page.grid(5, 0.5, "1", 0, -1.25, 3), page.walk(7, 9, 1.0, "0", 2)]
    for number, (_, file, command) in enumerate(answers):
        words = shlex.split(command)
        assert words[:4] == ["python", "-m", "dcgan_tf", "sample"]
        sample(*words[4:], f"--out={number}.png")
        np.testing.assert_array_equal(read(f"{number}.png"), read(file))
    assert [seed for _, seed in answers[0][0]] == [str(seed) for seed in range(5, 30)]
    assert "--psi" not in answers[1][2]


def test_a_picture_is_projected_as_its_command_does(sample, conditional_run_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(explore, "PROJECTION_STEPS", 2)
    Image.fromarray(np.full((9, 30, 3), 200, np.uint8)).save("mine.png")
    page = Page(load_generator(conditional_run_dir), [f"--run_dir={conditional_run_dir}"], tmp_path)
    picture, file, text, command = page.projection("mine.png", "1")
    assert picture.ndim == 3
    assert "of 255 gray levels" in text
    sample(*shlex.split(command)[4:], "--out=same.png")
    np.testing.assert_array_equal(read("same.png"), read(file))
    pathlib.Path("text.png").write_text("text")
    with pytest.raises(UserError, match=r"'text.png' cannot be used"):
        page.projection("text.png", "1")


def test_transparent_images_are_shown_on_white(tmp_path):
    run = write_run(
        tmp_path / "run", export=False, dataset="folder", data_dir=".", split="train", channels="4", conditional=False,
    )  # fmt: skip
    generator = load_generator(run)
    page = Page(generator, [], tmp_path)
    tiles, *_ = page.grid(0, 1.0, None)
    assert {tile.shape[2] for tile, _ in tiles} == {3}
    image = generator.sample([0])[0].astype(float)
    alpha = image[:, :, 3:] / 255
    on_white = alpha * image[:, :, :3] + (1 - alpha) * 255
    shown = tiles[0][0][GRID_MARGIN:-GRID_MARGIN, GRID_MARGIN:-GRID_MARGIN]
    scale = len(shown) // len(image)  # Small images are shown larger.
    np.testing.assert_allclose(shown[::scale, ::scale], on_white, atol=1)
    assert page.walk(0, 1, 1.0, None)[0].shape[2] == 3


def test_the_heading_names_what_is_shown(conditional_run_dir, tmp_path):
    heading = Page(load_generator(conditional_run_dir), [], tmp_path).heading("000-mine")
    assert heading.startswith("## 000-mine\nStep ")
    assert "16x16x3 · latent length 5" in heading


def test_leading_directions_name_the_attribute_that_they_are_like(conditional_run_dir, tmp_path):
    generator = load_generator(conditional_run_dir)
    first, second = generator.principal_directions.vectors[:2]
    named = {"thick_strokes": -(first + 0.2 * second) / np.linalg.norm(first + 0.2 * second)}
    page = Page(generator, [], tmp_path, named)
    assert page.titles[:3] == ("thick strokes", "Direction 1 (like thick strokes)", "Direction 2")
    assert page.sliders[:3] == ("thick_strokes", "1", "2")


def test_attributes_have_sliders_of_their_own(sample, conditional_run_dir, tmp_path, capsys):
    generator = load_generator(conditional_run_dir)
    smile = np.eye(generator.latent_dim, dtype=np.float32)[0]
    vectors = VectorFile(generator.digest, generator.latent_dim)
    vectors.add("smile", Vector(smile, "direction fitted to the log odds of smile of 300 images"))
    vectors.add("exemplars", Vector(smile, "mean of exemplars", (1,), label=0))
    vectors.add("face", Vector(2 * smile, "projection of face.png", label=0))
    vectors.save(pathlib.Path("v.json"))
    source = types.SimpleNamespace(run=conditional_run_dir, directory=tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(common, "FLAGS", types.SimpleNamespace(vectors="v.json"))
        named = named_directions(source, generator)
    assert list(named) == ["smile"]

    flags = [f"--run_dir={conditional_run_dir}", "--vectors=v.json"]
    page = Page(generator, flags, tmp_path, named)
    assert page.sliders[:3] == ("smile", "1", "2")
    _, file, command = page.grid(5, 1.0, "1", 2, -1)
    assert "--shift=smile:2,1:-1" in command
    sample(*shlex.split(command)[4:], "--out=same.png")
    np.testing.assert_array_equal(read("same.png"), read(file))

    # In a sum, a projection shows the image that it stands for, and a direction shows a blank.
    sums = [("face", False), ("smile", True)]
    for name, is_blank in sums:
        output = sample("arithmetic", *flags, f"--expression={name} + exemplars", "--label=0")
        assert "Directions and projections have no exemplars" in output
        assert (read("arithmetic.png")[32:, :40] == 255).all() == is_blank

    # Vectors of an earlier checkpoint have no sliders, and do not keep the page from opening.
    VectorFile("other", generator.latent_dim, vectors.vectors).save(tmp_path / "vectors.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(common, "FLAGS", types.SimpleNamespace(vectors=""))
        patch.setattr(explore, "FLAGS", types.SimpleNamespace(vectors=""))
        assert named_directions(source, generator) == {}
    assert "belongs to other weights" in capsys.readouterr().out


@pytest.mark.parametrize("text", [None, -3, 2**70])
def test_a_seed_that_is_none_is_brought_into_range(conditional_run_dir, tmp_path, text):
    page = Page(load_generator(conditional_run_dir), [], tmp_path)
    assert f"--seed={0 if text != 2**70 else 2**63 - 25}" in page.grid(text, 1.0, "1")[2]


def test_mistakes_are_one_line_before_anything_is_loaded(cli, conditional_run_dir, points_run_dir, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    for flags, expected in (
        (["--port=80"], "--port: expected from 1024 to 65535"),
        ([f"--run_dir={points_run_dir}"], "this action needs images"),
        ([], "the page needs Gradio: pip install -r requirements/explore.txt"),
    ):
        assert expected in one_line(cli("explore", f"--run_dir={conditional_run_dir}", *flags))


@pytest.fixture
def page_port(conditional_run_dir, tmp_path):
    pytest.importorskip("gradio")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = open(tmp_path / "log", "w+")
    process = subprocess.Popen(
        [sys.executable, "-m", "dcgan_tf", "explore", f"--run_dir={conditional_run_dir}", f"--port={port}"],
        cwd=ROOT,
        env={**os.environ, "http_proxy": "http://127.0.0.1:9"},  # The page is opened without a proxy.
        stdout=log,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        deadline = time.monotonic() + 400
        while "Open http://127.0.0.1" not in (tmp_path / "log").read_text():
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield port
        process.send_signal(signal.SIGINT)
        assert process.wait(200) == 0, (tmp_path / "log").read_text()
    finally:
        process.kill()
        log.close()


@pytest.mark.long
def test_the_page_is_served(page_port):
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://127.0.0.1:{page_port}") as answer:
        assert "grid-command" in answer.read().decode()


@pytest.fixture
def browser(tmp_path):
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if not (chromium and driver):
        pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1400,1600"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(service=webdriver.ChromeService(driver), options=options)
    yield browser
    browser.quit()


@pytest.fixture
def find(browser):
    return lambda selector: browser.find_elements("css selector", selector)


@pytest.fixture
def command(find):
    def command(name):
        boxes = find(f"#{name}-command textarea, #{name}-command input")
        return boxes[0].get_attribute("value") if boxes else ""

    return command


def wait(condition, seconds=300):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return value


class SlowPage:
    sliders, titles = ("1",), ("Direction 1",)

    def heading(self, name):
        return name

    def grid(self, seed, psi, class_name, amount):
        time.sleep(1)
        return [(np.zeros((32, 32, 3), np.uint8), str(number)) for number in range(25)], __file__, f"moved {amount:g}"

    def walk(self, first, last, *settings):
        time.sleep(1)
        return np.zeros((32, 32, 3), np.uint8), __file__, f"walk {first} {last}"


@pytest.mark.long
def test_what_happens_while_an_image_is_drawn_is_not_lost(browser, find, command):
    pytest.importorskip("gradio")
    blocks = build_page(SlowPage(), "slow", ())
    try:
        _, address, _ = blocks.launch(server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, ssr_mode=False)
        browser.get(address)
        wait(lambda: command("grid") == "moved 0")
        slider = find("#direction-1 input[type=number]")[0]
        for amount in (1, 2, -1):
            slider.clear()
            slider.send_keys(f"{amount}.25\n")
        wait(lambda: command("grid") == "moved -1.25", seconds=30)
        for seed in (3, 8, 1):
            find("#grid button.thumbnail-item")[seed].click()
        wait(lambda: "From seed 1: click another" in find("#walk-status")[0].text, seconds=30)
    finally:
        blocks.close()


@pytest.mark.long
def test_the_page_in_a_browser(page_port, browser, find, command, tmp_path):
    def pictures():
        return [image.get_attribute("src") for image in find("#grid img")]

    browser.get(f"http://127.0.0.1:{page_port}")
    first = wait(lambda: len(pictures()) == 25 and pictures())
    wait(lambda: "--seed=0" in command("grid"))

    # A class button changes the pictures and the command.
    find("#class label")[1].click()
    wait(lambda: "--label=1" in command("grid"))
    second = wait(lambda: pictures() != first and pictures())

    # So does a slider.
    slider = find("#direction-2 input[type=number]")[0]
    slider.clear()
    slider.send_keys("2.5\n")
    wait(lambda: "--shift=2:2.5" in command("grid"))
    wait(lambda: pictures() != second)

    # Two clicks make a walk.
    find("#grid button.thumbnail-item")[3].click()
    wait(lambda: "From seed 3: click another" in find("#walk-status")[0].text)
    find("#grid button.thumbnail-item")[8].click()
    wait(lambda: find("#walk img"))
    wait(lambda: "--seeds=3,8" in command("walk"))
    walk = find("#walk img")[0].get_attribute("src")
    find("#grid button.thumbnail-item")[1].click()
    wait(lambda: "From seed 1: click another" in find("#walk-status")[0].text)
    find("#grid button.thumbnail-item")[2].click()
    wait(lambda: find("#walk img") and find("#walk img")[0].get_attribute("src") != walk)

    # An uploaded picture is projected; a file that is not a picture is named.
    Image.new("L", (40, 20), 99).save(tmp_path / "mine.png")
    (tmp_path / "text.png").write_text("text")
    find("input[type=file]")[0].send_keys(str(tmp_path / "mine.png"))
    wait(lambda: find("#projection img"))
    wait(lambda: "--image=mine.png --resize" in command("projection"))
    find("input[type=file]")[0].send_keys(str(tmp_path / "text.png"))
    wait(lambda: "cannot be used" in find("#projection-status")[0].text)

    # Each image has its seed below it, and a phone shows all of them without scrolling sideways.
    assert [tile.text for tile in find("#grid button.thumbnail-item")] == [str(seed) for seed in range(25)]
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 400, "height": 900, "deviceScaleFactor": 1, "mobile": True}
    )
    wait(lambda: browser.execute_script("return document.documentElement.scrollWidth") <= 400)
    for tile in find("#grid button.thumbnail-item"):
        assert 0 <= tile.rect["x"] < tile.rect["x"] + tile.rect["width"] <= 400

    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    }
    assert asked
    assert all(url.startswith((f"http://127.0.0.1:{page_port}", "data:", "blob:")) for url in asked), asked
