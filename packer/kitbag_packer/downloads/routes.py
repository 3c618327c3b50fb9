"""The way of one request: where redirects lead it, and how long the heads of its answers may take.

A head that comes in drops is never silent, so no time-out of a single read notices it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kitbag_packer.downloads.retries import Failure


class Route:
    """Of one request, in one thread."""

    def __init__(self, patience: float) -> None:
        """``patience`` in seconds, for each head."""
        self.patience = patience
        self.late = False
        """Whether a head took longer than that."""
        self.host = ""
        """Where redirects led."""
        self.connection: socket.socket | None = None
        """The one that was opened last; none is used twice."""
        self._timer: threading.Timer | None = None

    def begin(self) -> None:
        """A head is due from now on."""
        self.end()
        self._timer = threading.Timer(self.patience, self._give_up)
        self._timer.daemon = True
        self._timer.start()

    def end(self) -> None:
        """It is there, or nobody waits for it any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def told(self, failure: Failure) -> Failure:
        """The same failure, which says where it happened if that was elsewhere."""
        if self.host:
            failure.reason = f"redirects to {self.host}, which {failure.reason}"
        return failure

    def _give_up(self) -> None:
        self.late = True
        if self.connection is not None:
            break_off(self.connection)


def break_off(connection: socket.socket) -> None:
    """End a connection, so that a thread which waits for it notices at once."""
    # Not the method of an SSLSocket: that one would let the other thread read ciphertext.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
