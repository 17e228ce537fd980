"""An artifact from the server to a file: counted, digested, and complete or an error."""

import hashlib
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote

import httpx

from holdfast.client.errors import Answer, ServerFault
from holdfast.client.transport import Transport


@dataclass
class Download:
    """An open download. `expected` is None when the server did not say how long it is."""

    name: str
    expected: int | None
    response: httpx.Response
    received: int = 0
    sha256: str = ""

    def chunks(self) -> Iterator[bytes]:
        """The bytes as stored. Raises if fewer or more came than were announced."""
        digest = hashlib.sha256()
        for chunk in self.response.iter_raw():
            digest.update(chunk)
            self.received += len(chunk)
            yield chunk
        if self.expected is not None and self.received != self.expected:
            text = f"the download holds {self.received} bytes where {self.expected} were announced"
            raise ServerFault(Answer(200, text))
        self.sha256 = digest.hexdigest()


@contextmanager
def opened(
    transport: Transport, url: str, otherwise: str, *, with_token: bool = False
) -> Generator[Download]:
    """`otherwise` is the file name when the server suggests none."""
    with transport.streamed(url, with_token=with_token) as response:
        length = response.headers.get("content-length")
        expected = int(length) if length and length.isdecimal() else None
        yield Download(suggested_name(response, otherwise), expected, response)


def suggested_name(response: httpx.Response, otherwise: str) -> str:
    """Only ever a plain file name: what a server suggests must not choose a directory."""
    header = response.headers.get("content-disposition", "")
    match = re.search(r'filename="([^"]+)"|filename=([^;\s]+)', header)
    wanted = (match.group(1) or match.group(2)) if match else unquote(response.url.path)
    name = PurePosixPath(wanted.replace("\\", "/")).name
    if not match and not PurePosixPath(name).suffix:
        return otherwise
    return otherwise if name in ("", ".", "..") or not name.isprintable() else name
