"""Mail by SMTP, with TLS from the beginning, STARTTLS, or (only if told so) neither."""

import smtplib
import ssl
from contextlib import suppress
from email.message import EmailMessage
from email.utils import formatdate
from typing import Annotated, Literal

from pydantic import Field, model_validator

from holdfast.channels.settings import Host, Settings
from holdfast.domain.alarms.messages import Message
from holdfast.domain.errors import Permanent, Temporary
from holdfast.kit.fetch import is_local_service_name

_TIMEOUT_SECONDS = 15.0
_PORTS = {"tls": 465, "starttls": 587, "none": 25}
_LONGEST_ANSWER = 300

Address = Annotated[str, Field(pattern=r"^[^\s@<>,;:\"]+@[^\s@<>,;:\"]+$", max_length=254)]


class Email(Settings):
    """`security` none sends passwords and text in the clear: for a relay on the same machine."""

    host: Host
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: Annotated[str, Field(max_length=254)] | None = None
    password: Annotated[str, Field(max_length=500)] | None = None
    sender: Address
    recipients: Annotated[list[Address], Field(min_length=1, max_length=50)]
    verify: bool = Field(True, description="Whether the server's certificate must be valid.")

    @model_validator(mode="after")
    def _both_or_none(self) -> "Email":
        if (self.user is None) is not (self.password is None):
            raise ValueError("user and password belong together")
        return self

    @property
    def shown(self) -> str:
        return f"{', '.join(self.recipients[:3])} by {self.host}:{self._port}"

    @property
    def _port(self) -> int:
        return self.port or _PORTS[self.security]

    def send(self, message: Message, now: int) -> str:
        mail = EmailMessage()
        mail["Subject"] = " ".join(message.title.split())[:200]
        mail["From"], mail["To"] = self.sender, ", ".join(self.recipients)
        mail["Date"] = formatdate(now / 1000)
        # The same for every attempt: mail servers and readers drop the second one.
        mail["Message-ID"] = f"<{message.id}@{self.sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Holdfast-Event"] = message.event
        mail.set_content(message.text)
        try:
            return self._deliver(mail)
        except smtplib.SMTPRecipientsRefused as error:
            code, text = next(iter(error.recipients.values()))
            raise _failure(code)(_answered(code, text)) from None
        except smtplib.SMTPResponseException as error:
            raise _failure(error.smtp_code)(_answered(error.smtp_code, error.smtp_error)) from None
        except smtplib.SMTPNotSupportedError as error:
            raise Permanent(f"the server cannot do this: {error}") from None
        except smtplib.SMTPException as error:
            raise Temporary(f"the server broke off: {type(error).__name__}") from None
        except ssl.SSLError as error:
            raise Temporary(f"TLS did not work: {error.reason or error}") from None
        except OSError as error:
            raise Temporary(f"the server did not answer: {error.strerror or error}") from None

    def _deliver(self, mail: EmailMessage) -> str:
        if is_local_service_name(self.host):
            raise Permanent(f"{self.host} serves only the machine that asks")
        context = ssl.create_default_context()
        if not self.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if self.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self._port, timeout=_TIMEOUT_SECONDS, context=context
            )
        else:
            server = smtplib.SMTP(self.host, self._port, timeout=_TIMEOUT_SECONDS)
        try:
            if self.security == "starttls":
                server.starttls(context=context)
            if self.user is not None and self.password is not None:
                server.login(self.user, self.password)
            refused = server.send_message(mail, self.sender, list(self.recipients))
            # The mail is taken by now: how the server says goodbye must not send it twice.
            with suppress(smtplib.SMTPException, OSError):
                server.quit()
        finally:
            server.close()
        answer = f"accepted for {len(self.recipients) - len(refused)} recipients"
        for address, (code, text) in refused.items():
            answer += f"; {address}: {code} {text.decode('utf-8', 'replace')}"
        return answer[:_LONGEST_ANSWER]


def _failure(code: int) -> type[Temporary] | type[Permanent]:
    """RFC 5321: 4yz may succeed later, 5yz will not."""
    return Temporary if 400 <= code < 500 else Permanent


def _answered(code: int, text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"answered {code} {' '.join(words.split())}"[:_LONGEST_ANSWER]
