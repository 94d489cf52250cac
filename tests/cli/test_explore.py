import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from dcgan_tf import load_generator
from dcgan_tf.cli.explore import Page
from tests.conftest import ROOT, one_line
from tests.generation.conftest import write_run

CLASSES = ("cat", "dog")


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run with a space"), conditional=True, class_names=CLASSES)


def test_the_page_shows_what_its_commands_make(run_dir, tmp_path, monkeypatch):
    import importlib

    from tests.generation.conftest import parsed

    page = Page(load_generator(run_dir), [f"--run_dir={run_dir}"], tmp_path)
    answers = [page.grid(5, 0.5, "dog", 0, -1.25, 3), page.walk(7, 9, 1.0, "cat", 2)]
    for number, (_, file, command) in enumerate(answers):
        words = shlex.split(command)
        assert words[:3] == ["python", "-m", "dcgan_tf", "sample"]
        module = importlib.import_module(f"dcgan_tf.cli.actions.{words[3]}")
        with parsed(module, [*words[4:], f"--out={tmp_path / f'{number}.png'}"]):
            module.run()
        np.testing.assert_array_equal(Image.open(tmp_path / f"{number}.png"), Image.open(file))
    assert len(answers[0][0]) == 25
    assert "--psi" not in answers[1][2]


def test_a_port_out_of_range_is_one_line(command, run_dir):
    result = command("-m", "dcgan_tf", "explore", f"--run_dir={run_dir}", "--port=80")
    assert "--port: expected from 1024 to 65535" in one_line(result)


@pytest.fixture
def page_port(run_dir, tmp_path):
    pytest.importorskip("gradio")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = open(tmp_path / "log", "w+")
    process = subprocess.Popen(
        [sys.executable, "-m", "dcgan_tf", "explore", f"--run_dir={run_dir}", f"--port={port}"],
        cwd=ROOT,
        env={**os.environ, "http_proxy": "http://127.0.0.1:9"},  # No proxy is asked for the page.
        stdout=log,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        deadline = time.monotonic() + 120
        while "Open http://127.0.0.1" not in (tmp_path / "log").read_text():
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield port
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0, (tmp_path / "log").read_text()
    finally:
        process.kill()
        log.close()


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


@pytest.mark.long
def test_the_page_in_a_browser(page_port, browser):
    def find(selector):
        return browser.find_elements("css selector", selector)

    def wait(condition):
        deadline = time.monotonic() + 30
        while not (value := condition()):
            assert time.monotonic() < deadline, browser.get_screenshot_as_base64()[:80]
            time.sleep(0.2)
        return value

    def pictures():
        return [image.get_attribute("src") for image in find("#grid img")]

    browser.get(f"http://127.0.0.1:{page_port}")
    first = wait(lambda: len(pictures()) == 25 and pictures())
    wait(lambda: "--seed=0" in find("#grid-command")[0].text)

    # A class button changes the pictures and the command.
    find("#class label")[1].click()
    wait(lambda: "--label=dog" in find("#grid-command")[0].text)
    second = wait(lambda: pictures() != first and pictures())

    # So does a slider.
    slider = find("#direction-2 input[type=number]")[0]
    slider.clear()
    slider.send_keys("2.5\n")
    wait(lambda: "--shift=2:2.5" in find("#grid-command")[0].text)
    wait(lambda: pictures() != second)

    # Two clicks make a walk.
    find("#grid button.thumbnail-item")[3].click()
    wait(lambda: "From seed 3: click another" in find("#walk-status")[0].text)
    find("#grid button.thumbnail-item")[8].click()
    wait(lambda: find("#walk img"))
    wait(lambda: "--seeds=3,8" in find("#walk-command")[0].text)
    walk = find("#walk img")[0].get_attribute("src")
    find("#grid button.thumbnail-item")[1].click()
    wait(lambda: "From seed 1: click another" in find("#walk-status")[0].text)
    find("#grid button.thumbnail-item")[2].click()
    wait(lambda: find("#walk img") and find("#walk img")[0].get_attribute("src") != walk)

    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not errors
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    }
    assert asked
    assert all(url.startswith((f"http://127.0.0.1:{page_port}", "data:", "blob:")) for url in asked), asked
