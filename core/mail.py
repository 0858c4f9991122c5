"""E-mail, through the mail server of the settings."""

import re
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import formatdate, make_msgid

from core.config import Settings, get_settings
from core.errors import MailNotSent

TIMEOUT_S = 10.0

# What would begin a new header, or turn the rest of a line around.
_NO_LETTERS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Attachment:
    """A file that goes along; `kind` is its media type, such as "application/pdf"."""

    name: str
    kind: str
    content: bytes


def send_mail(
    to: str,
    subject: str,
    text: str,
    *,
    html: str | None = None,
    attachments: Sequence[Attachment] = (),
    headers: Mapping[str, str] | None = None,
) -> None:
    """Send an e-mail to one address; `html` says the same as `text`, and `headers` come beside the usual ones.

    Raises MailNotSent: no server is set, or it did not take the message.
    """
    settings = get_settings()
    sender = settings.smtp_from or settings.smtp_user
    if settings.smtp_host is None or sender is None:
        raise MailNotSent("No e-mail was sent, because no mail server is set. Set SMTP_HOST and SMTP_FROM.")
    if not re.fullmatch(r"[^@\s,<>]+@[^@\s,<>]+", to):
        raise MailNotSent("No e-mail was sent: its receiver is not one address such as name@example.com.")
    try:
        message = EmailMessage(policy=_Whole())
        message["From"], message["To"], message["Subject"] = sender, to, one_line(subject)
        usual = {"Date": formatdate(), "Message-ID": make_msgid(domain=sender.rpartition("@")[2])}
        for name, value in (usual | dict(headers or {})).items():
            message[name] = value
        message.set_content(text, cte="quoted-printable")  # 7 bits: not every server takes more
        if html is not None:
            message.add_alternative(html, subtype="html", cte="quoted-printable")
        for file in attachments:
            main, sub = file.kind.split("/")
            message.add_attachment(file.content, maintype=main, subtype=sub, filename=one_line(file.name))
        with _connected(settings, settings.smtp_host) as server:
            server.send_message(message)
    except (smtplib.SMTPException, OSError, ValueError) as error:
        # The server's own words may repeat addresses and passwords: only the error's name goes on.
        raise MailNotSent(
            f"The mail server {settings.smtp_host} did not take the e-mail ({type(error).__name__}). "
            "Check the SMTP settings and the address."
        ) from error


def check_server() -> None:
    """Connect to the mail server and sign in as for an e-mail, and send none. Raises MailNotSent."""
    settings = get_settings()
    if settings.smtp_host is None or (settings.smtp_from or settings.smtp_user) is None:
        raise MailNotSent("No mail server is set. Set SMTP_HOST and SMTP_FROM to send e-mails.")
    try:
        with _connected(settings, settings.smtp_host) as server:
            code, _ = server.noop()
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise MailNotSent(
            f"The mail server {settings.smtp_host} does not take e-mails ({type(error).__name__}). "
            "Check the SMTP settings."
        ) from error
    if code != 250:
        raise MailNotSent(f"The mail server {settings.smtp_host} answers {code}. Check the SMTP settings.")


class _Whole(EmailPolicy):
    """Keeps addresses in List- headers whole: a long one would be written as encoded words, which nobody opens."""

    def fold(self, name: str, value: str) -> str:
        return f"{name}: {value}{self.linesep}" if name.startswith("List-") else super().fold(name, value)

    def fold_binary(self, name: str, value: str) -> bytes:
        return self.fold(name, value).encode() if name.startswith("List-") else super().fold_binary(name, value)


def one_line(text: str) -> str:
    """Text of others as a part of a header: one line, without characters that are no letters."""
    return " ".join(_NO_LETTERS.sub(" ", text).split())


def _connected(settings: Settings, host: str) -> smtplib.SMTP:
    """The mail server, encrypted and signed in as the settings say; the caller closes it."""
    if settings.smtp_tls == "TLS":
        context = ssl.create_default_context()
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, settings.smtp_port, timeout=TIMEOUT_S, context=context)
    else:
        server = smtplib.SMTP(host, settings.smtp_port, timeout=TIMEOUT_S)
    try:
        if settings.smtp_tls == "STARTTLS":
            server.starttls(context=ssl.create_default_context())
        if settings.smtp_user is not None:
            server.login(settings.smtp_user, settings.smtp_password or "")
    except (smtplib.SMTPException, OSError, ValueError):
        server.close()
        raise
    return server
