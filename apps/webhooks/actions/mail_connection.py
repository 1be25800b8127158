"""A connection to the mail server, opened by the first mail and kept for the next; certificates are checked."""

import smtplib
import ssl
from email.message import EmailMessage
from types import TracebackType
from typing import Self

import structlog

from apps.lib.mail_server import MailServer

log = structlog.get_logger(__name__)

_TIMEOUT_SECONDS = 15


class MailConnection:
    """Raises what smtplib raises; after an error the next mail gets a new connection."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._smtp: smtplib.SMTP | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._close()

    def send(self, message: EmailMessage) -> None:
        """Returns when the server has taken it."""
        if self._server.kind == "console":
            log.info("mail", to=message["To"], subject=message["Subject"], text=message.get_content())
            return
        self._smtp = self._smtp or self._open()
        try:
            self._smtp.send_message(message)
        except BaseException:
            self._close()
            raise

    def _open(self) -> smtplib.SMTP:
        server, context = self._server, ssl.create_default_context()
        if server.kind == "smtps":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=_TIMEOUT_SECONDS, context=context)
        else:
            smtp = smtplib.SMTP(server.host, server.port, timeout=_TIMEOUT_SECONDS)
        try:
            if server.kind == "smtp+tls":
                smtp.starttls(context=context)
            if server.username:
                smtp.login(server.username, server.password)
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _close(self) -> None:
        smtp, self._smtp = self._smtp, None
        if smtp is None:
            return
        try:
            smtp.quit()
        except (OSError, smtplib.SMTPException):
            smtp.close()
