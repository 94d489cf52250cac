"""The processes that train one model together: how they connect, agree, and notice that one of them is lost.

TensorFlow's collectives wait a long time, or forever, for a process that is gone. So every worker keeps a connection to
the first one, the chief, and regularly signals that it is alive. If a worker is lost, all others stop at once. This
module does not use TensorFlow.
"""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from dcgan_tf import progress
from dcgan_tf.distributed.peers import HANDSHAKE_SECONDS, Peer, Reception, UnprovedRefusal, call_chief, clip
from dcgan_tf.errors import UserError
from dcgan_tf.progress import logger

SIGNS_OF_LIFE = 4  # Within the time after which a worker is considered lost
ENDED = object()  # Replaces the value of a worker that has left


class Workers:
    """All workers of a run, from the view of one of them. A run of one process has a single worker and never waits.

    Use it as a context manager: entering waits for the others, leaving waits until all have finished, and leaving with
    an error stops them.

    Args:
        addresses: ``host:port`` of each worker; the first is the chief. Empty for a run of one process.
        index: Index of this worker.
        timeout: Seconds to wait for the others at the start, and for a sign of life from each of them later.
        secret: A secret that only the workers know. Without one, anybody who can connect to the chief can stop the run.
    """

    def __init__(
        self, addresses: tuple[str, ...] = (), index: int = 0, timeout: float = 60.0, secret: bytes = b""
    ) -> None:
        self.addresses = addresses
        self.index = index
        self._timeout = timeout
        self._secret = secret
        self._peers: dict[int, Peer] = {}
        self._leaving = threading.Event()
        self._stopping = threading.Lock()
        self._to_remove: list[pathlib.Path] = []

    @property
    def count(self) -> int:
        """The number of workers."""
        return max(1, len(self.addresses))

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes the run directory."""
        return self.index == 0

    def gather(self, value: Any) -> list[Any]:
        """Waits until all workers call this, and returns all values by index. Values must be representable in JSON."""
        if self.count == 1:
            return [value]
        if not self.is_chief:
            self._peers[0].send({"value": value})
            return self._take(self._peers[0])
        values = [json.loads(json.dumps(value)), *(self._take(self._peers[index]) for index in range(1, self.count))]
        for peer in self._peers.values():
            peer.send({"value": values})
        return values

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on at least one worker. The answer is the same on each."""
        return any(self.gather(flag))

    def remove_at_loss(self, folder: pathlib.Path) -> None:
        """Registers a folder to delete if this process ends abruptly because another one is lost."""
        self._to_remove.append(folder)

    @contextlib.contextmanager
    def time_limit(self, seconds: float, reason: str) -> Iterator[None]:
        """Stops all workers if the block takes longer. A thread that waits within TensorFlow cannot be interrupted."""
        timer = threading.Timer(seconds, self._stop, [reason])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def __enter__(self) -> "Workers":
        if self.count == 1:
            return self
        logger.info(
            f"Worker {self.index} of {self.count}, {self.addresses[self.index]}{', the chief' * self.is_chief}: "
            f"waiting up to {self._timeout:g} seconds for the others."
        )
        deadline = time.monotonic() + self._timeout
        threading.Thread(target=self._show_life, daemon=True).start()
        try:
            if self.is_chief:
                self._receive_others(deadline)
            else:
                self._find_chief(deadline)
        except BaseException as error:
            self._leave(error)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.count == 1:
            return
        if error is None:
            self.gather(None)
        elif type(error).__module__.startswith("tensorflow"):
            # A collective fails if a worker is lost, sometimes before this process considers it lost. The thread that
            # listens to the worker reports it and ends this process.
            time.sleep(self._timeout + 1)
        self._leave(error)

    def _leave(self, error: BaseException | None) -> None:
        with self._stopping:  # If another thread is ending this process, its last words are the only ones.
            self._leaving.set()
        what = (
            "was interrupted" if isinstance(error, KeyboardInterrupt) else f"stopped: {error or type(error).__name__}"
        )
        for peer in list(self._peers.values()):
            peer.send({"bye": True} if error is None else {"stop": clip(f"{self._name(self.index)} {what}")})
            peer.close()

    def _receive_others(self, deadline: float) -> None:
        with self._open_door() as door:
            reception = Reception(door, self._secret, self._timeout)
            with contextlib.closing(reception.admit(deadline)) as arrivals:
                while len(self._peers) < self.count - 1:
                    peer = next(arrivals, None)
                    if peer is None:
                        raise UserError(self._describe_missing(reception.refused))
                    self._admit(peer, reception)

    def _open_door(self) -> socket.socket:
        host, port = split_address(self.addresses[0])
        local = host == "localhost" or host.startswith("127.")
        try:
            # TensorFlow uses the same port, once all workers have connected and this socket is closed.
            return socket.create_server((host if local else "", port))
        except OSError as error:
            raise UserError(
                f"`workers`: cannot listen on port {port} for the others ({error.strerror}). Is it in use?"
            ) from None

    def _describe_missing(self, refused: int) -> str:
        missing = [self._name(index) for index in range(1, self.count) if index not in self._peers]
        return (
            f"`workers`: no sign of {', '.join(missing)} within `worker_timeout={self._timeout:g}` seconds. Start each "
            "with the same command and its own `worker_index`"
            + f" ({refused} connections gave another `worker_secret`)"
            * (refused > 0)
        )

    def _admit(self, peer: Peer, reception: Reception) -> None:
        index, addresses = peer.index, ",".join(peer.addresses)
        if peer.addresses != self.addresses:
            reason = f"worker {index} has the list of workers {addresses}, but the chief has {','.join(self.addresses)}"
        elif index in self._peers or index not in range(1, self.count):
            reason = f"two workers have the index {index}"
        else:
            reception.accept(peer)
            self._add(peer)
            return
        reason = clip(f"{reason}. Give each the same `workers` and its own `worker_index`")
        reception.refuse(peer, reason)
        raise UserError(f"`workers`: {reason}")

    def _find_chief(self, deadline: float) -> None:
        address, reason, refusal = split_address(self.addresses[0]), "", ""
        while (left := deadline - time.monotonic()) > 0:
            try:
                seconds = min(left, HANDSHAKE_SECONDS)
                self._add(call_chief(address, self.index, self.addresses, self._secret, self._timeout, seconds))
                return
            except UserError:  # The chief refuses this worker.
                raise
            except OSError as error:
                reason = error.strerror or str(error) or "it does not answer"
            except UnprovedRefusal as error:
                refusal = f"the process that listens there refuses this worker: {error}"
            except (EOFError, ValueError, RecursionError):
                reason = "the process that listens there is not the chief"
            time.sleep(min(0.2, max(0, deadline - time.monotonic())))
        raise UserError(
            f"`workers`: no sign of the chief ({self.addresses[0]}) within `worker_timeout={self._timeout:g}` seconds "
            f"({refusal or reason}). Start it with the same command and `worker_index=0`"
        )

    def _add(self, peer: Peer) -> None:
        self._peers[peer.index] = peer
        threading.Thread(target=self._listen, args=(peer,), daemon=True).start()

    def _listen(self, peer: Peer) -> None:
        try:
            while self._understand(peer, peer.receive(time.monotonic() + self._timeout)):
                pass
            return
        except TimeoutError:
            reason = f"gave no sign of life for {self._timeout:g} seconds (`worker_timeout`)"
        except (OSError, EOFError):
            reason = "is gone"
        except Exception as error:  # If this thread ended silently, the process would wait forever.
            reason = f"sent an invalid message ({type(error).__name__}: {error})"
        self._stop(f"{self._name(peer.index)} {reason}. Start all workers again to resume from the last checkpoint")

    def _understand(self, peer: Peer, message: dict[str, Any]) -> bool:
        """Acts on a message; returns whether another one may follow."""
        match message:
            case {"value": value}:
                if not peer.values.empty():  # A worker waits for the values of all others before it sends its next.
                    raise ValueError("a value that nobody asked for")
                peer.values.put(value)
            case {"stop": str(reason)}:
                self._stop(reason)
            case {"bye": True}:
                peer.values.put(ENDED)
                return False
            case _ if message:  # A sign of life is empty.
                raise ValueError(f"a message of {', '.join(message)}")
        return True

    def _take(self, peer: Peer) -> Any:
        value = peer.values.get()
        if value is ENDED:
            raise UserError(f"{self._name(peer.index)} finished before this one")
        return value

    def _name(self, index: int) -> str:
        return f"worker {index} ({self.addresses[index]})"

    def _stop(self, reason: str) -> None:
        """Ends this process. Its main thread may be waiting in a collective that cannot be interrupted."""
        with self._stopping:
            if self._leaving.is_set():
                return
            self._leaving.set()
            try:
                reason = clip(reason)
                for peer in list(self._peers.values()):
                    peer.send({"stop": reason})
                progress.say_last_words(reason)
                sys.stdout.flush()
                for folder in self._to_remove:
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os._exit(1)

    def _show_life(self) -> None:
        while not self._leaving.wait(self._timeout / SIGNS_OF_LIFE):
            for peer in list(self._peers.values()):
                peer.send({})


def split_address(address: str) -> tuple[str, int]:
    """Splits ``host:port`` into host and port; raises UserError for anything else."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise UserError(f"`workers`: expected addresses such as node0:2222,node1:2222. Received: {address!r}")
    return host.strip("[]"), int(port)
