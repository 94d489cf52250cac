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

from dcgan_tf import load_generator
from dcgan_tf.cli import explore
from dcgan_tf.cli.actions import common
from dcgan_tf.cli.explore import Page, named_directions
from dcgan_tf.generation.vectors import Vector, VectorFile
from tests.conftest import ROOT, one_line
from tests.small_runs import read


def test_the_page_shows_what_its_commands_make(sample, conditional_run_dir, tmp_path):
    page = Page(load_generator(conditional_run_dir), [f"--run_dir={conditional_run_dir}"], tmp_path)
    answers = [page.grid(5, 0.5, "1", 0, -1.25, 3), page.walk(7, 9, 1.0, "0", 2)]
    for number, (_, file, command) in enumerate(answers):
        words = shlex.split(command)
        assert words[:4] == ["python", "-m", "dcgan_tf", "sample"]
        sample(*words[4:], f"--out={number}.png")
        np.testing.assert_array_equal(read(f"{number}.png"), read(file))
    assert len(answers[0][0]) == 25
    assert "--psi" not in answers[1][2]


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

    # In a sum, a projection shows the image that it stands for, and a direction a blank.
    sums = [("face", False), ("smile", True)]
    for name, is_blank in sums:
        output = sample("arithmetic", *flags, f"--expression={name} + exemplars", "--label=0")
        assert "Directions and projections have no exemplars" in output
        assert (read("arithmetic.png")[32:, :40] == 255).all() == is_blank

    # Those of an earlier checkpoint have no sliders, and do not keep the page from opening.
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


@pytest.mark.long
def test_the_page_in_a_browser(page_port, browser):
    def find(selector):
        return browser.find_elements("css selector", selector)

    def wait(condition):
        deadline = time.monotonic() + 120
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
    wait(lambda: "--label=1" in find("#grid-command")[0].text)
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
