"""Connections between workers: messages of limited length, and a proof at both ends that they know the same secret.

A message is a JSON object behind four bytes with its length. The handshake has three:

    chief:  nonce
    worker: index, list of workers, nonce of its own, proof
    chief:  proof; or a refusal, with its reason

A proof is an HMAC over both nonces, so one that was overheard is of no use later. Nothing of what follows is encrypted.
"""

import contextlib
import hmac
import json
import queue
import secrets
import select
import selectors
import socket
import threading
import time
from collections.abc import Generator
from typing import Any

from dcgan_tf.errors import UserError, printable

LENGTH_BYTES = 4
MAX_MESSAGE = 2**22
MAX_GREETING = 2**16
MAX_REASON = 2000
HANDSHAKE_SECONDS = 5.0
MAX_STRANGERS = 256  # At a time: a new one takes the place of the oldest, as a handshake takes milliseconds.
RECEIVED_BYTES = 2**16


class Peer:
    """The connection to another worker.

    Attributes:
        index: Of that worker, once it is known.
        addresses: Its list of workers.
        values: What it sent for `Workers.gather`.
        answer: What proves to it that this is the chief.
    """

    def __init__(self, connection: socket.socket, timeout: float) -> None:
        self.connection = connection
        self.index = -1
        self.addresses: tuple[str, ...] = ()
        self.values: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.answer = ""
        self._buffer = bytearray()
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self._sending = threading.Lock()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(timeout)  # Of sending; what is received has deadlines of its own.

    def send(self, message: dict[str, Any]) -> None:
        """Sends a message. That the other is gone shows where it is listened to."""
        content = json.dumps(message).encode()
        if len(content) > MAX_MESSAGE:
            raise UserError(f"the workers can exchange {MAX_MESSAGE} bytes at a time, and need {len(content)}")
        with self._sending:
            try:
                self.connection.sendall(len(content).to_bytes(LENGTH_BYTES, "big") + content)
            except OSError:
                self.close()  # Nothing that follows half a message would be understood.

    def receive(self, deadline: float, longest: int = MAX_MESSAGE) -> dict[str, Any]:
        """Waits for the next message.

        Raises:
            TimeoutError: it was not whole by the deadline.
            OSError, EOFError: the connection is lost.
            ValueError, RecursionError: this is no message.
        """
        while (message := self._take(longest)) is None:
            if not self._poll.poll(max(0, deadline - time.monotonic()) * 1000):
                raise TimeoutError
            self._read()
        return message

    def receive_arrived(self, longest: int) -> dict[str, Any] | None:
        """Reads what has arrived; returns the message once it is whole. Raises as `receive` does."""
        self._read()
        return self._take(longest)

    @property
    def is_closed(self) -> bool:
        """Whether this end is closed, also because a message could not be sent."""
        return self.connection.fileno() == -1

    def close(self) -> None:
        """Ends the connection, also for a thread that waits for a message."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()

    def _read(self) -> None:
        received = self.connection.recv(RECEIVED_BYTES)
        if not received:
            raise EOFError
        self._buffer += received

    def _take(self, longest: int) -> dict[str, Any] | None:
        length = int.from_bytes(self._buffer[:LENGTH_BYTES], "big")
        if length > longest:
            raise ValueError(f"a message of {length} bytes")
        if len(self._buffer) < LENGTH_BYTES + length:
            return None
        content = self._buffer[LENGTH_BYTES : LENGTH_BYTES + length]
        del self._buffer[: LENGTH_BYTES + length]
        message = json.loads(content)
        if not isinstance(message, dict):
            raise ValueError("a message that is no JSON object")
        return message


class Reception:
    """Hears all who connect to the chief, side by side, each for a few seconds and for one short message.

    Attributes:
        refused: How many had another secret.
    """

    def __init__(self, door: socket.socket, secret: bytes, timeout: float) -> None:
        self.refused = 0
        self._door = door
        self._secret = secret
        self._timeout = timeout
        self._strangers: dict[Peer, tuple[str, float]] = {}  # -> nonce and deadline, the oldest first
        self._selector = selectors.DefaultSelector()

    def admit(self, deadline: float) -> Generator[Peer, None, None]:
        """Yields each worker that has proved to know the secret, until the deadline."""
        self._door.setblocking(False)
        self._selector.register(self._door, selectors.EVENT_READ)
        try:
            while (now := time.monotonic()) < deadline:
                for stranger, (_, end) in list(self._strangers.items()):
                    if end < now:
                        self._send_away(stranger)
                for key, _ in self._selector.select(min(deadline - now, HANDSHAKE_SECONDS / 10)):
                    if key.data is None:
                        self._let_in()
                    elif key.data in self._strangers and self._hear(key.data):
                        yield key.data
        finally:
            for stranger in list(self._strangers):
                self._send_away(stranger)
            self._selector.close()

    def _let_in(self) -> None:
        if len(self._strangers) == MAX_STRANGERS:
            self._send_away(next(iter(self._strangers)))
        try:
            stranger = Peer(self._door.accept()[0], self._timeout)
        except OSError:  # It has gone again, or this process has no file left to open.
            return
        nonce = secrets.token_hex()
        stranger.send({"nonce": nonce})
        if not stranger.is_closed:
            self._strangers[stranger] = nonce, time.monotonic() + HANDSHAKE_SECONDS
            self._selector.register(stranger.connection, selectors.EVENT_READ, stranger)

    def _hear(self, stranger: Peer) -> bool:
        """Whether this has proved to be a worker, which is then no longer heard here."""
        try:
            message = stranger.receive_arrived(MAX_GREETING)
            if message is None:
                return False
            self._check(stranger, message)
        except Exception:  # Whatever it was, it was no worker of this run.
            self._send_away(stranger)
            return False
        del self._strangers[stranger]
        self._selector.unregister(stranger.connection)
        return True

    def _check(self, stranger: Peer, message: dict[str, Any]) -> None:
        match message:
            case {"index": int(index), "workers": [*workers], "nonce": str(nonce), "proof": str(proof)}:
                facts = (self._strangers[stranger][0], nonce, index, workers)
            case _:
                raise ValueError("no greeting")
        if not all(isinstance(worker, str) for worker in workers):
            raise ValueError("no greeting")
        if not _is_proof(proof, self._secret, "worker", *facts):
            self.refused += 1
            stranger.send({"refused": "it has another `worker_secret` than the chief, or only one of them has one"})
            raise ValueError("no proof")
        stranger.index, stranger.addresses = index, tuple(workers)
        stranger.answer = _prove(self._secret, "chief", *facts)

    def _send_away(self, stranger: Peer) -> None:
        del self._strangers[stranger]
        self._selector.unregister(stranger.connection)
        stranger.close()


def call_chief(
    address: tuple[str, int], index: int, workers: tuple[str, ...], secret: bytes, timeout: float, seconds: float
) -> Peer:
    """Connects to the chief, and makes sure that it is.

    Args:
        address: Host and port.
        index: Of this worker.
        workers: The addresses of all.
        secret: What all of them know.
        timeout: Seconds to send a message, later.
        seconds: That this may take.

    Raises:
        UserError: it refuses this worker.
        OSError, EOFError, ValueError, RecursionError: nobody answers, or somebody else.
    """
    deadline = time.monotonic() + seconds
    peer = Peer(socket.create_connection(address, timeout=seconds), timeout)
    try:
        nonce = secrets.token_hex()
        facts = (str(peer.receive(deadline, MAX_GREETING).get("nonce")), nonce, index, list(workers))
        proof = _prove(secret, "worker", *facts)
        peer.send({"index": index, "workers": workers, "nonce": nonce, "proof": proof})
        answer = peer.receive(deadline, MAX_GREETING)
        if isinstance(answer.get("refused"), str):
            raise UserError(f"`workers`: the chief refuses this worker: {clip(answer['refused'])}")
        if not _is_proof(answer.get("proof"), secret, "chief", *facts):
            raise ValueError("it does not know the `worker_secret`")
    except BaseException:
        peer.close()
        raise
    peer.index = 0
    return peer


def clip(reason: str) -> str:
    """A text of another process, as it may be printed."""
    return printable(reason)[:MAX_REASON]


def _prove(secret: bytes, role: str, *facts: Any) -> str:
    return hmac.new(secret, json.dumps([role, *facts]).encode(), "sha256").hexdigest()


def _is_proof(received: Any, secret: bytes, role: str, *facts: Any) -> bool:
    return hmac.compare_digest(str(received).encode(), _prove(secret, role, *facts).encode())
