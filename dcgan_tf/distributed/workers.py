"""The processes that train one model together: how they meet, agree, and notice the loss of one. Without TensorFlow.

TensorFlow's collectives wait, for long or for ever, for a process that is gone. So every worker keeps a connection to
the first one, the chief, on which it says that it is alive; and when one is lost, all others stop at once.
"""

import contextlib
import json
import os
import pathlib
import queue
import shutil
import socket
import sys
import threading
import time
from types import TracebackType
from typing import Any

from dcgan_tf.errors import UserError

SIGNS_OF_LIFE = 4  # In the time after which a worker counts as lost
LONGEST_MESSAGE = 2**24
HANDSHAKE_SECONDS = 5.0


class Workers:
    """All workers of a run, as one of them sees them. A single one has nobody to wait for.

    Used as a context manager: entering waits for the others, leaving waits until all have come to their end, and
    leaving by an error stops them.

    Args:
        addresses: ``host:port`` of each worker; the first is the chief. Empty for a run of one process.
        index: of this one.
        timeout: seconds to wait for the others at the start, and for a sign of life of each later.
    """

    def __init__(self, addresses: tuple[str, ...] = (), index: int = 0, timeout: float = 60.0) -> None:
        self.addresses = addresses
        self.index = index
        self._timeout = timeout
        self._peers: dict[int, _Peer] = {}
        self._leaving = threading.Event()
        self._to_remove: list[pathlib.Path] = []

    @property
    def count(self) -> int:
        """How many there are."""
        return max(1, len(self.addresses))

    @property
    def is_chief(self) -> bool:
        """Whether this is the one that writes the run."""
        return self.index == 0

    def gather(self, value: Any) -> list[Any]:
        """Waits until all workers call this, and returns the value of each, by index. Values are what JSON can hold."""
        if self.count == 1:
            return [value]
        if not self.is_chief:
            self._peers[0].send({"value": value})
            return self._peers[0].values.get()
        values = [json.loads(json.dumps(value)), *(self._peers[index].values.get() for index in range(1, self.count))]
        for peer in self._peers.values():
            peer.send({"value": values})
        return values

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on at least one worker; the same answer on each."""
        return any(self.gather(flag))

    def remove_at_loss(self, folder: pathlib.Path) -> None:
        """Names a folder that is to go where this process ends at once, because of the loss of another."""
        self._to_remove.append(folder)

    def __enter__(self) -> "Workers":
        if self.count == 1:
            return self
        print(
            f"Worker {self.index} of {self.count}, {self.addresses[self.index]}{', the chief' * self.is_chief}: "
            f"waiting up to {self._timeout:g} seconds for the others."
        )
        deadline = time.monotonic() + self._timeout
        try:
            if self.is_chief:
                self._accept(deadline)
            else:
                self._peers = {0: self._call_chief(deadline)}
        except UserError as error:
            self._say_goodbye(str(error))
            raise
        for peer in self._peers.values():
            threading.Thread(target=self._listen, args=(peer,), daemon=True).start()
        threading.Thread(target=self._show_life, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.count == 1:
            return
        if error is None:
            self.gather(None)
        elif type(error).__module__.startswith("tensorflow"):
            # A collective fails where a worker is lost, at times before its silence counts as loss here; the thread
            # that listens to it names it, and ends this process.
            time.sleep(self._timeout + 1)
        self._leaving.set()
        self._say_goodbye(None if error is None else str(error) or type(error).__name__)

    def _say_goodbye(self, reason: str | None) -> None:
        for peer in self._peers.values():
            name = f"worker {self.index} ({self.addresses[self.index]})"
            peer.send({"bye": True} if reason is None else {"stop": f"{name} stopped: {reason}"})
            peer.close()

    def _accept(self, deadline: float) -> None:
        host, port = split_address(self.addresses[0])
        local = host == "localhost" or host.startswith("127.")
        try:
            # The port is TensorFlow's own, which takes it over once all have met and the door is closed.
            door = socket.create_server((host if local else "", port))
        except OSError as error:
            raise UserError(
                f"--workers: cannot listen on port {port} for the others ({error.strerror}). Is another process there?"
            ) from None
        with door:
            while len(self._peers) < self.count - 1:
                door.settimeout(max(0.01, deadline - time.monotonic()))
                try:
                    connection, _ = door.accept()
                except TimeoutError:
                    missing = [f"{i} ({self.addresses[i]})" for i in range(1, self.count) if i not in self._peers]
                    raise UserError(
                        f"--workers: no sign of worker {', '.join(missing)} within --worker_timeout={self._timeout:g} "
                        "seconds. Start each with the same command and its own --worker_index"
                    ) from None
                connection.settimeout(HANDSHAKE_SECONDS)
                peer = _Peer(connection)
                try:
                    hello = peer.receive()
                    index, addresses = hello["index"], tuple(hello["workers"])
                except (OSError, EOFError, ValueError, KeyError, TypeError):
                    peer.close()  # Somebody else
                    continue
                self._admit(peer, index, addresses)

    def _admit(self, peer: "_Peer", index: int, addresses: tuple[str, ...]) -> None:
        peer.index = index
        if addresses != self.addresses or index in self._peers or index not in range(1, self.count):
            reason = (
                f"--workers: worker {index} has another list of workers, {','.join(addresses)}, than the chief, "
                f"{','.join(self.addresses)}"
                if addresses != self.addresses
                else f"--worker_index: two workers have the index {index}"
            )
            peer.send({"stop": reason})
            peer.close()
            raise UserError(f"{reason}. Give each the same --workers and its own --worker_index")
        peer.connection.settimeout(self._timeout)
        self._peers[index] = peer

    def _call_chief(self, deadline: float) -> "_Peer":
        while True:
            try:
                connection = socket.create_connection(split_address(self.addresses[0]), timeout=HANDSHAKE_SECONDS)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise UserError(
                        f"--workers: no sign of the chief ({self.addresses[0]}) within --worker_timeout="
                        f"{self._timeout:g} seconds ({error.strerror or error}). Start it with the same command and "
                        "--worker_index=0"
                    ) from None
                time.sleep(0.2)
        connection.settimeout(self._timeout)
        peer = _Peer(connection, index=0)
        peer.send({"index": self.index, "workers": self.addresses})
        return peer

    def _listen(self, peer: "_Peer") -> None:
        try:
            while not self._leaving.is_set():
                message = peer.receive()
                if "bye" in message:
                    return
                if "stop" in message:
                    self._stop(message["stop"])
                if "value" in message:
                    peer.values.put(message["value"])
        except TimeoutError:
            reason = f"gave no sign of life for {self._timeout:g} seconds (--worker_timeout)"
        except (OSError, EOFError, ValueError):
            reason = "is gone"
        else:
            return
        name = f"worker {peer.index} ({self.addresses[peer.index]})"
        self._stop(f"{name} {reason}. Start all workers again to resume from the last checkpoint")

    def _stop(self, reason: str) -> None:
        """Ends this process: its main thread may wait in a collective from which nothing can call it back."""
        if self._leaving.is_set():
            return
        self._leaving.set()
        for peer in self._peers.values():
            peer.send({"stop": reason})
        print(f"\nerror: {reason}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        for folder in self._to_remove:
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    def _show_life(self) -> None:
        while not self._leaving.wait(self._timeout / SIGNS_OF_LIFE):
            for peer in self._peers.values():
                peer.send({})


class _Peer:
    """The connection to another worker: JSON, one message a line."""

    def __init__(self, connection: socket.socket, index: int = -1) -> None:
        self.connection = connection
        self.index = index
        self.values: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._reader = connection.makefile("rb")
        self._sending = threading.Lock()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, message: dict[str, Any]) -> None:
        # That the other is gone shows where it is listened to.
        with self._sending, contextlib.suppress(OSError):
            self.connection.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> dict[str, Any]:
        line = self._reader.readline(LONGEST_MESSAGE)
        if not line.endswith(b"\n"):
            raise EOFError
        message = json.loads(line)
        if not isinstance(message, dict):
            raise ValueError(f"expected a JSON object. Received: {line[:100]!r}")
        return message

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self._reader.close()
        self.connection.close()


def split_address(address: str) -> tuple[str, int]:
    """``host:port`` -> the two; raises UserError for anything else."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise UserError(f"--workers: expected addresses such as node0:2222,node1:2222. Received: {address!r}")
    return host.strip("[]"), int(port)
