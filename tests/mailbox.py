"""A small mail server of the tests' own: what it took is in its Mailbox."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_string
from email.message import EmailMessage
from email.policy import default
from typing import cast


@dataclass
class Mailbox:
    """What the mail server took, and who signed in."""

    port: int = 0
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    signed_in: list[str] = field(default_factory=list)
    refuse: bool = False

    @property
    def parsed(self) -> list[EmailMessage]:
        """The messages, read by Python's own parser."""
        return [cast("EmailMessage", message_from_string(text, policy=default)) for text in self.messages]


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[int]:
    """The server's port, while a thread serves it."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    """A server that takes everything, or with `refuse` nothing."""
    box = Mailbox()

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            self.say("220 mail.example")
            sender, receivers = "", []
            while line := self.rfile.readline().decode().strip():
                word = line.upper()
                if word.startswith("EHLO"):
                    self.say("250-mail.example\r\n250 AUTH PLAIN")
                elif word.startswith("AUTH"):
                    box.signed_in.append(line.split()[-1])
                    self.say("235 welcome")
                elif word.startswith("MAIL FROM"):
                    sender, receivers = line.split("<")[1].split(">")[0], []
                    self.say("550 go away: hunter2" if box.refuse else "250 ok")
                elif word.startswith("RCPT TO"):
                    receivers.append(line.split("<")[1].split(">")[0])
                    self.say("250 ok")
                elif word == "DATA":
                    self.say("354 go on")
                    lines = iter(lambda: self.rfile.readline().decode(), ".\r\n")
                    box.messages.append("".join(each.removeprefix(".") for each in lines))  # RFC 5321, 4.5.2
                    box.envelopes.append((sender, receivers))
                    self.say("250 taken")
                elif word == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 ok")

    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as box.port:
        yield box
