"""A library is silent; what a command shows stays in its own thread."""

import logging
import sys
import threading

from dcgan_tf import progress


def test_nothing_is_shown_outside(capfd):
    progress.logger.info("unheard")
    list(progress.bar(range(3), desc="counting"))
    assert capfd.readouterr() == ("", "")


def test_messages_and_one_line_per_bar_in_a_pipe(capfd):
    with progress.shown():
        progress.logger.info("said")
        progress.logger.warning("warned")
        list(progress.bar(range(3), desc="counting"))
    progress.logger.info("unheard")
    assert capfd.readouterr() == ("said\nCounting ...\n", "warned\n")


def test_a_bar_that_waits_to_be_drawn_is_no_line_in_a_pipe(capfd):
    with progress.shown():
        list(progress.bar(range(3), desc="asking", delay=2))
    assert capfd.readouterr() == ("", "")


def test_a_bar_is_drawn_on_a_terminal(capfd, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress.shown():
        list(progress.bar(range(3), desc="counting"))
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "counting: 100%" in shown.err


def test_nested_contexts_show_once_and_can_hide(capfd):
    with progress.shown(), progress.shown():
        progress.logger.info("once")
        with progress.shown(False):
            progress.logger.info("hidden")
    assert capfd.readouterr().out == "once\n"


def test_silence_holds_for_the_loggers_of_a_program_too(capfd, caplog):
    handler = logging.StreamHandler()
    logging.getLogger().addHandler(handler)
    try:
        with progress.shown(False):
            progress.logger.warning("hidden")
        assert capfd.readouterr() == ("", "")
        assert caplog.messages == []
        progress.logger.warning("heard")
        assert caplog.messages == ["heard"]
    finally:
        logging.getLogger().removeHandler(handler)


def test_another_thread_stays_silent(capfd):
    with progress.shown():
        thread = threading.Thread(target=lambda: progress.logger.info("elsewhere"))
        thread.start()
        thread.join()
        progress.logger.info("here")
    assert capfd.readouterr().out == "here\n"


def test_messages_reach_the_loggers_of_a_program(caplog):
    with caplog.at_level(logging.INFO, "dcgan_tf"):
        progress.logger.info("for a file")
    assert caplog.messages == ["for a file"]


def test_formatter(capfd):
    with progress.shown(formatter=logging.Formatter("> %(message)s")):
        progress.logger.info("said")
    assert capfd.readouterr().out == "> said\n"


def test_last_words_are_formatted_as_all_messages_from_any_thread_and_said_in_silence(capsys):
    def say():
        thread = threading.Thread(target=progress.say_last_words, args=("`seed` differs",))
        thread.start()
        thread.join()
        return capsys.readouterr().err

    with progress.shown(formatter=logging.Formatter("<%(message)s>")):
        assert say() == "\n<error: `seed` differs>\n"
    with progress.shown(False):
        assert say() == "\nerror: `seed` differs\n"
