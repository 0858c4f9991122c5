"""A port for a server that is about to start."""

import socket
from random import SystemRandom


def free_port() -> int:
    """A port of this machine that nobody listens on.

    It is none of those that the system lends to connections: one of these may be lent before the server takes it.
    """
    while True:
        port = SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
