"""Connections between workers: messages of limited length, and mutual proof that both ends know the same secret.

A message is a JSON object after four bytes with its length. The handshake has three messages:

    chief:  nonce
    worker: index, list of workers, its own nonce, proof
    chief:  proof; or a refusal with a reason, and a proof of it

A proof is an HMAC over both nonces, so an intercepted proof cannot be reused. A worker with a secret stops only at a
refusal that is proved, so a stranger on the chief's port cannot stop it. The messages that follow are not encrypted.
"""

import contextlib
import errno
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
MAX_STRANGERS = 256  # At a time. A new one replaces the oldest, because a handshake takes only milliseconds.
RECEIVED_BYTES = 2**16


class Peer:
    """The connection to another worker.

    Attributes:
        index: Index of that worker, once known.
        addresses: Its list of workers.
        values: The values it sent for `Workers.gather`.
        facts: What proofs on this connection are about: both nonces, and the worker's index and list of workers.
    """

    def __init__(self, connection: socket.socket, timeout: float) -> None:
        self.connection = connection
        self.index = -1
        self.addresses: tuple[str, ...] = ()
        self.values: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.facts: tuple[Any, ...] = ()
        self._buffer = bytearray()
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self._sending = threading.Lock()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(timeout)  # For sending only; receiving has its own deadlines.

    def send(self, message: dict[str, Any]) -> None:
        """Sends a message. If the peer is gone, the code that receives from it notices."""
        content = json.dumps(message).encode()
        if len(content) > MAX_MESSAGE:
            raise UserError(f"the workers can exchange at most {MAX_MESSAGE} bytes at a time, but need {len(content)}")
        with self._sending:
            try:
                self.connection.sendall(len(content).to_bytes(LENGTH_BYTES, "big") + content)
            except OSError:
                self.close()  # After half a message, nothing that follows could be read.

    def receive(self, deadline: float, longest: int = MAX_MESSAGE) -> dict[str, Any]:
        """Waits for the next message.

        Raises:
            TimeoutError: The message was not complete by the deadline.
            OSError, EOFError: The connection is lost.
            ValueError, RecursionError: What arrived is not a message.
        """
        while (message := self._take(longest)) is None:
            if not self._poll.poll(max(0, deadline - time.monotonic()) * 1000):
                raise TimeoutError
            self._read()
        return message

    def receive_arrived(self, longest: int) -> dict[str, Any] | None:
        """Reads what has arrived; returns the message if it is complete. Raises the same errors as `receive`."""
        self._read()
        return self._take(longest)

    @property
    def is_closed(self) -> bool:
        """Whether this end is closed, which also happens if a message cannot be sent."""
        return self.connection.fileno() == -1

    def close(self) -> None:
        """Closes the connection, even while a thread waits for a message on it."""
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
            raise ValueError("a message that is not a JSON object")
        return message


class Reception:
    """Handles all incoming connections to the chief at once, each for a few seconds and one short message.

    Attributes:
        refused: Number of connections that had another secret.
    """

    def __init__(self, door: socket.socket, secret: bytes, timeout: float) -> None:
        self.refused = 0
        self._door = door
        self._secret = secret
        self._timeout = timeout
        self._strangers: dict[Peer, tuple[str, float]] = {}  # -> nonce and deadline, the oldest first
        self._selector = selectors.DefaultSelector()

    def admit(self, deadline: float) -> Generator[Peer, None, None]:
        """Yields each worker that has proved that it knows the secret, until the deadline."""
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

    def accept(self, peer: Peer) -> None:
        """Proves to a worker that this is the chief."""
        peer.send({"proof": _prove(self._secret, "chief", *peer.facts)})

    def refuse(self, peer: Peer, reason: str) -> None:
        """Refuses a worker, with a proof of the reason, and closes the connection."""
        peer.send({"refused": reason, "proof": _prove(self._secret, "refused", *peer.facts, reason)})
        peer.close()

    def _let_in(self) -> None:
        if len(self._strangers) == MAX_STRANGERS:
            self._send_away(next(iter(self._strangers)))
        try:
            stranger = Peer(self._door.accept()[0], self._timeout)
        except OSError as error:  # The connection is gone already, or this process is out of file descriptors.
            if error.errno in (errno.EMFILE, errno.ENFILE) and self._strangers:
                self._send_away(next(iter(self._strangers)))  # This connection waits, and is let in by the next call.
            return
        nonce = secrets.token_hex()
        stranger.send({"nonce": nonce})
        if not stranger.is_closed:
            self._strangers[stranger] = nonce, time.monotonic() + HANDSHAKE_SECONDS
            self._selector.register(stranger.connection, selectors.EVENT_READ, stranger)

    def _hear(self, stranger: Peer) -> bool:
        """Whether the stranger has proved to be a worker. It is then no longer handled here."""
        try:
            message = stranger.receive_arrived(MAX_GREETING)
            if message is None:
                return False
            self._check(stranger, message)
        except Exception:  # Whatever it was, it is not a worker of this run.
            self._send_away(stranger)
            return False
        del self._strangers[stranger]
        self._selector.unregister(stranger.connection)
        return True

    def _check(self, stranger: Peer, message: dict[str, Any]) -> None:
        match message:
            case {"index": int(index), "workers": [*workers], "nonce": str(nonce), "proof": str(proof)}:
                stranger.facts = (self._strangers[stranger][0], nonce, index, workers)
            case _:
                raise ValueError("no greeting")
        if not all(isinstance(worker, str) for worker in workers):
            raise ValueError("no greeting")
        if not _is_proof(proof, self._secret, "worker", *stranger.facts):
            self.refused += 1
            stranger.send({"refused": "its `worker_secret` differs from the chief's, or only one of them has a secret"})
            raise ValueError("no proof")
        stranger.index, stranger.addresses = index, tuple(workers)

    def _send_away(self, stranger: Peer) -> None:
        del self._strangers[stranger]
        self._selector.unregister(stranger.connection)
        stranger.close()


class UnprovedRefusal(ValueError):
    """A refusal by a process that does not prove that it is the chief."""


def call_chief(
    address: tuple[str, int], index: int, workers: tuple[str, ...], secret: bytes, timeout: float, seconds: float
) -> Peer:
    """Connects to the chief and verifies that it is the chief.

    Args:
        address: Host and port of the chief.
        index: Index of this worker.
        workers: Addresses of all workers.
        secret: The secret that all workers share.
        timeout: Seconds that sending a message may take later.
        seconds: Seconds that this call may take.

    Raises:
        UserError: The chief refuses this worker.
        UnprovedRefusal: Another process does, or a chief with another secret.
        OSError, EOFError, ValueError, RecursionError: Nothing answers, or something that is not the chief.
    """
    deadline = time.monotonic() + seconds
    peer = Peer(socket.create_connection(address, timeout=seconds), timeout)
    try:
        nonce = secrets.token_hex()
        facts = (str(peer.receive(deadline, MAX_GREETING).get("nonce")), nonce, index, list(workers))
        proof = _prove(secret, "worker", *facts)
        peer.send({"index": index, "workers": workers, "nonce": nonce, "proof": proof})
        answer = peer.receive(deadline, MAX_GREETING)
        if isinstance(reason := answer.get("refused"), str):
            if secret and not _is_proof(answer.get("proof"), secret, "refused", *facts, reason):
                raise UnprovedRefusal(clip(reason))
            raise UserError(f"`workers`: the chief refuses this worker: {clip(reason)}")
        if not _is_proof(answer.get("proof"), secret, "chief", *facts):
            raise ValueError("it does not know the `worker_secret`")
    except BaseException:
        peer.close()
        raise
    peer.index = 0
    return peer


def clip(reason: str) -> str:
    """A text from another process, made safe to print and cut to MAX_REASON characters."""
    return printable(reason)[:MAX_REASON]


def _prove(secret: bytes, role: str, *facts: Any) -> str:
    return hmac.new(secret, json.dumps([role, *facts]).encode(), "sha256").hexdigest()


def _is_proof(received: Any, secret: bytes, role: str, *facts: Any) -> bool:
    return hmac.compare_digest(str(received).encode(), _prove(secret, role, *facts).encode())
