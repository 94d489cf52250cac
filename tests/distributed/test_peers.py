"""What strangers and members may send to a worker: in threads of this process, on loopback."""

import contextlib
import errno
import hashlib
import hmac
import json
import os
import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import pytest

from dcgan_tf import progress
from dcgan_tf.distributed import peers
from dcgan_tf.distributed.peers import MAX_MESSAGE, Peer, Reception
from dcgan_tf.distributed.workers import Workers, split_address
from dcgan_tf.errors import UserError
from tests.distributed.test_workers import free_addresses

SECRET = b"sixteen bytes or more"


def frame(content):
    """A message in the protocol's format."""
    content = content if isinstance(content, bytes) else json.dumps(content).encode()
    return len(content).to_bytes(4, "big") + content


def greeting(**changes):
    return frame({"index": 1, "workers": ["a:1", "b:1"], "nonce": "n", "proof": "00", **changes})


def connect(address):
    """Connects to a chief that may not be listening yet."""
    while True:
        try:
            return socket.create_connection(split_address(address), timeout=20)
        except ConnectionRefusedError:
            time.sleep(0.01)


def read(connection):
    """The next message."""
    length = int.from_bytes(read_bytes(connection, 4), "big")
    return json.loads(read_bytes(connection, length))


def read_bytes(connection, count):
    content = b""
    while len(content) < count:
        received = connection.recv(count - len(content))
        if not received:
            raise EOFError
        content += received
    return content


def is_closed(connection):
    """Waits until the other end is closed."""
    with contextlib.suppress(ConnectionError):
        while connection.recv(1000):
            pass
    return True


def take_part(addresses, index, secret=b"", timeout=20.0):
    with Workers(tuple(addresses), index, timeout, secret) as workers:
        return workers.gather(index)


@pytest.fixture
def pool():
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.fixture
def addresses():
    return free_addresses(2)


@pytest.mark.parametrize(
    "content",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        (2**31).to_bytes(4, "big"),
        frame(b"[" * 60_000),
        frame([1]),
        frame(b"\xff"),
        frame({"bye": 1}),
        frame({"bye": True}),
        frame({"stop": "now"}),
        frame({"value": 1}),
        greeting(index=[1]),
        greeting(index=1.0),
        greeting(index=0).replace(b"0", b"1" * 5_000, 1),
        greeting(workers="a:1,b:1"),
        greeting(workers=[1, 2]),
        greeting(nonce=None),
        greeting(proof="\ud800"),
        greeting(proof=None),
        greeting(),
    ],
    ids=range(18),
)
def test_stranger_is_sent_away_for_what_it_sends(pool, addresses, content):
    chief = pool.submit(take_part, addresses, 0)
    with connect(addresses[0]) as stranger:
        stranger.sendall(content)
        assert is_closed(stranger)
    assert pool.submit(take_part, addresses, 1).result(30) == chief.result(30) == [0, 1]


def test_silent_strangers_do_not_keep_the_chief_from_its_worker(pool, addresses, monkeypatch):
    monkeypatch.setattr(peers, "HANDSHAKE_SECONDS", 100.0)  # One after the other, they would take longer than the test.
    monkeypatch.setattr(peers, "MAX_STRANGERS", 30)
    chief = pool.submit(take_part, addresses, 0)
    silent = [connect(addresses[0]) for _ in range(50)]
    silent[-1].sendall(b"\0\0")
    assert all(is_closed(stranger) for stranger in silent[:20])
    worker = pool.submit(take_part, addresses, 1)
    assert worker.result(30) == chief.result(30) == [0, 1]
    assert all(is_closed(stranger) for stranger in silent)


def test_stranger_that_hangs_up_at_once_leaves_nothing_behind():
    with socket.create_server(("127.0.0.1", 0)) as door:
        reception = Reception(door, b"", timeout=5)
        stranger = socket.create_connection(door.getsockname())
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # Resets the connection.
        stranger.close()
        reception._let_in()
        with socket.create_connection(door.getsockname()):  # It gets the number of the file that was closed.
            reception._let_in()
        assert len(reception._strangers) == 1
        reception._send_away(*reception._strangers)


def test_strangers_do_not_use_up_the_file_descriptors():
    """The oldest of them makes room for the next connection, which may be that of a worker."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        reception = Reception(door, b"", timeout=5)
        strangers = [socket.create_connection(door.getsockname()) for _ in range(3)]
        reception._let_in()
        reception._let_in()
        reception._door = mock.Mock(**{"accept.side_effect": OSError(errno.EMFILE, "Too many open files")})
        reception._let_in()
        assert is_closed(strangers[0])
        reception._door = door
        reception._let_in()
        assert len(reception._strangers) == 2
        for peer, stranger in zip(list(reception._strangers), strangers[1:], strict=True):
            assert peer.connection.getpeername() == stranger.getsockname()
            reception._send_away(peer)
            stranger.close()


@pytest.mark.parametrize("drips", [0, 1000])
def test_stranger_has_one_deadline_for_all_it_sends(pool, addresses, monkeypatch, drips):
    monkeypatch.setattr(peers, "HANDSHAKE_SECONDS", 0.3)
    chief = pool.submit(take_part, addresses, 0)
    with connect(addresses[0]) as stranger:
        stranger.sendall((60_000).to_bytes(4, "big"))
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < drips:
                stranger.sendall(b"[")
                sent += 1
                time.sleep(0.02)
        assert sent < max(1, drips)
        assert is_closed(stranger)
    assert pool.submit(take_part, addresses, 1).result(30) == chief.result(30) == [0, 1]


@pytest.mark.parametrize(("chief", "worker"), [(SECRET, b""), (b"", SECRET), (SECRET, SECRET + b".")])
def test_worker_with_another_secret_is_refused_and_the_chief_waits_on(pool, addresses, chief, worker):
    waiting = pool.submit(take_part, addresses, 0, chief)
    # A worker with a secret cannot know whether it is the chief that refuses it, so it tries until its time is up.
    refuses = "the process that listens there refuses" if worker else "the chief refuses"
    with pytest.raises(UserError, match=f"{refuses} this worker: its `worker_secret` differs"):
        take_part(addresses, 1, worker, 0.5)
    assert not waiting.done()
    assert pool.submit(take_part, addresses, 1, chief).result(30) == waiting.result(30) == [0, 1]


def test_chief_says_at_its_end_that_secrets_differed(pool, addresses):
    chief = pool.submit(take_part, addresses, 0, SECRET, 1.0)
    with pytest.raises(UserError):
        take_part(addresses, 1, b"")
    with pytest.raises(UserError, match=r"no sign of worker 1 .* \(1 connections gave another `worker_secret`\)$"):
        chief.result(30)


def prove(role, *facts):
    """The proof, computed from the definition of HMAC (RFC 2104) with SHA-256."""
    key = SECRET.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + json.dumps([role, *facts]).encode()).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in key) + inner).hexdigest()


def test_proof_is_an_hmac_over_both_nonces_and_cannot_be_used_again(pool, addresses):
    chief = pool.submit(take_part, addresses, 0, SECRET)
    with connect(addresses[0]) as first, connect(addresses[0]) as second:
        facts = (read(first)["nonce"], "mine", 1, addresses)
        overheard = greeting(workers=addresses, nonce="mine", proof=prove("worker", *facts))
        assert read(second)["nonce"] != facts[0]
        second.sendall(overheard)
        assert "`worker_secret` differs" in read(second)["refused"]
        assert is_closed(second)
        first.sendall(overheard)
        assert read(first) == {"proof": prove("chief", *facts)}
        first.sendall(frame({"value": "hello"}))
        while "value" not in (answer := read(first)):
            assert answer == {}  # A sign of life
        assert answer == {"value": [0, "hello"]}
        first.sendall(frame({"value": None}) + frame({"bye": True}))
        assert chief.result(30) == [0, "hello"]


def test_a_refusal_that_the_chief_proves_stops_a_worker_at_once(pool, addresses):
    chief = pool.submit(take_part, addresses, 0, SECRET)
    with pytest.raises(UserError, match="the chief refuses this worker: worker 1 has the list of workers"):
        take_part([addresses[0], "127.0.0.1:9"], 1, SECRET)
    with pytest.raises(UserError, match="worker 1 has the list of workers"):
        chief.result(30)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"proof": "00"}, "is not the chief"),
        ({"proof": None}, "is not the chief"),
        ("the worker's own proof", "is not the chief"),
        ({"refused": "stop"}, "refuses this worker: stop"),
        ({"refused": "stop", "proof": "00"}, "refuses this worker: stop"),
    ],
    ids=str,
)
def test_worker_does_not_take_a_stranger_for_the_chief(pool, addresses, answer, reason):
    def pretend(door):
        with contextlib.suppress(OSError), door:
            while True:
                connection, _ = door.accept()
                connection.sendall(frame({"nonce": "n"}))
                message = read(connection)
                connection.sendall(frame(answer if isinstance(answer, dict) else {"proof": message["proof"]}))

    door = socket.create_server(split_address(addresses[0]))
    pool.submit(pretend, door)
    with pytest.raises(UserError, match=f"no sign of the chief .* seconds .the process that listens there {reason}"):
        take_part(addresses, 1, SECRET, 0.5)
    door.shutdown(socket.SHUT_RDWR)


def test_worker_gives_up_in_time_where_the_chief_is_silent(addresses):
    with (
        socket.create_server(split_address(addresses[0])),
        pytest.raises(UserError, match=r"`worker_timeout=0.5` seconds"),
    ):
        take_part(addresses, 1, timeout=0.5)


@pytest.fixture
def member(monkeypatch):
    """A chief that knows its worker, and the worker's end of the connection. `os._exit` raises SystemExit."""

    def leave(code):
        raise SystemExit(code)

    monkeypatch.setattr(os, "_exit", leave)
    with socket.create_server(("127.0.0.1", 0)) as door:
        theirs = socket.create_connection(door.getsockname())
        peer = Peer(door.accept()[0], timeout=5)
    workers = Workers(("a:1", "b:1"), 0, timeout=5)
    peer.index = 1
    workers._peers[1] = peer
    with theirs:
        yield workers, peer, theirs
    peer.close()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is gone"),
        (frame(b"[" * 200_000), "sent an invalid message (RecursionError: "),
        ((2**31).to_bytes(4, "big"), "sent an invalid message (ValueError: a message of 2147483648 bytes)"),
        (frame([]), "sent an invalid message (ValueError: a message that is not a JSON object)"),
        (frame({"value": 1}) * 2, "sent an invalid message (ValueError: a value that nobody asked for)"),
        (frame({"bye": 1}), "sent an invalid message (ValueError: a message of bye)"),
        (frame({"stop": [1]}), "sent an invalid message (ValueError: a message of stop)"),
        (frame({"\x1b[2J": 1}), r"sent an invalid message (ValueError: a message of \x1b[2J)"),
    ],
    ids=range(8),
)
def test_any_fault_of_a_member_ends_the_process_with_one_line(member, capsys, content, reason):
    workers, peer, theirs = member
    theirs.sendall(content)
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(SystemExit) as ended:
        workers._listen(peer)
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()[1:]
    assert line.startswith(f"error: worker 1 (b:1) {reason}")
    assert line.endswith("Start all workers again to resume from the last checkpoint")
    answer = read(theirs)
    assert answer == {"stop": line.removeprefix("error: ")}


def test_reason_of_another_worker_is_printed_on_one_line_and_not_raw(member, capsys):
    workers, peer, theirs = member
    theirs.sendall(frame({"stop": "disk\nfull \x1b[31m" + "x" * 100_000}))
    with pytest.raises(SystemExit):
        workers._listen(peer)
    (line,) = capsys.readouterr().err.splitlines()[1:]
    assert line.startswith(r"error: disk\nfull \x1b[31mxxx")
    assert len(line) < 2100


def test_message_in_pieces_counts_as_one_and_has_one_deadline(member):
    _, peer, theirs = member
    for piece in (frame({"value": 7})[:3], frame({"value": 7})[3:9], frame({"value": 7})[9:] + frame({})):
        threading.Timer(0.05, theirs.sendall, [piece]).start()
        time.sleep(0.1)
    assert peer.receive(time.monotonic() + 5) == {"value": 7}
    assert peer.receive(time.monotonic()) == {}
    theirs.sendall(b"\0\0")
    with pytest.raises(TimeoutError):
        peer.receive(time.monotonic() + 0.05)


def test_worker_that_leaves_too_early_is_named(member):
    workers, peer, theirs = member
    theirs.sendall(frame({"value": "first"}) + frame({"bye": True}))
    workers._listen(peer)
    assert workers.gather(0) == [0, "first"]
    with pytest.raises(UserError, match=r"worker 1 \(b:1\) finished before this one"):
        workers.gather(0)


def test_message_that_is_too_long_is_not_sent(member):
    workers, _, _ = member
    with pytest.raises(UserError, match=f"can exchange at most {MAX_MESSAGE} bytes at a time"):
        workers._peers[1].send({"value": "x" * MAX_MESSAGE})


def test_time_limit_ends_what_nothing_else_can_end(member, capsys, monkeypatch):
    workers, _, theirs = member
    ended = threading.Event()
    monkeypatch.setattr(os, "_exit", lambda _: ended.set())
    with workers.time_limit(60, "not yet"):
        pass
    with workers.time_limit(0.01, "TensorFlow waits"):
        assert ended.wait(10)
    assert read(theirs) == {"stop": "TensorFlow waits"}
    assert capsys.readouterr().err == "\nerror: TensorFlow waits\n"


def test_worker_that_fails_while_another_stops_it_says_one_line_only(member, monkeypatch):
    workers, _, theirs = member
    speaking, happened = threading.Event(), []

    def say_last_words(_):
        speaking.set()
        time.sleep(0.3)
        happened.append("last words")

    monkeypatch.setattr(progress, "say_last_words", say_last_words)
    monkeypatch.setattr(os, "_exit", lambda _: happened.append("end"))
    stopper = threading.Thread(target=workers._stop, args=("worker 1 has other settings",))
    stopper.start()
    assert speaking.wait(10)
    workers._leave(UserError("other settings"))
    happened.append("the main thread's own error")
    stopper.join()
    assert happened == ["last words", "end", "the main thread's own error"]
    assert read(theirs) == {"stop": "worker 1 has other settings"}


def test_proof_is_of_one_secret_and_one_role():
    proof = peers._prove(SECRET, "chief", 1)
    assert proof == hmac.new(SECRET, b'["chief", 1]', "sha256").hexdigest()
    assert peers._is_proof(proof, SECRET, "chief", 1)
    assert not peers._is_proof(proof, SECRET, "worker", 1)
    assert not peers._is_proof(proof, SECRET[1:], "chief", 1)
    assert not peers._is_proof("\ufffd", SECRET, "chief", 1)
