"""Downloads an artifact: counts and digests it, and raises unless it is complete."""

import hashlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

import httpx

from holdfast.client.transport.async_transport import AsyncTransport
from holdfast.client.transport.errors import Answer, ServerFault
from holdfast.client.transport.transport import Transport


@dataclass
class OpenDownload:
    """An open download. `expected` is None when the server did not announce a length."""

    name: str
    expected: int | None
    response: httpx.Response
    received: int = 0
    sha256: str = ""
    _digest: Any = field(default_factory=hashlib.sha256, repr=False)

    def _note(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self.received += len(chunk)

    def _conclude(self) -> None:
        if self.expected is not None and self.received != self.expected:
            text = f"the download holds {self.received} bytes where {self.expected} were announced"
            raise ServerFault(Answer(200, text))
        self.sha256 = self._digest.hexdigest()


class Download(OpenDownload):
    def chunks(self) -> Iterator[bytes]:
        """Yields the bytes as stored. Raises if fewer or more came than were announced."""
        for chunk in self.response.iter_raw():
            self._note(chunk)
            yield chunk
        self._conclude()


class AsyncDownload(OpenDownload):
    async def chunks(self) -> AsyncIterator[bytes]:
        """Yields the bytes as stored. Raises if fewer or more came than were announced."""
        async for chunk in self.response.aiter_raw():
            self._note(chunk)
            yield chunk
        self._conclude()


@contextmanager
def opened(
    transport: Transport, url: str, otherwise: str, *, with_token: bool = False
) -> Generator[Download]:
    """`otherwise` is the file name when the server suggests none."""
    with transport.streamed(url, with_token=with_token) as response:
        yield Download(suggested_name(response, otherwise), _announced(response), response)


@asynccontextmanager
async def opened_awaited(
    transport: AsyncTransport, url: str, otherwise: str, *, with_token: bool = False
) -> AsyncGenerator[AsyncDownload]:
    async with transport.streamed(url, with_token=with_token) as response:
        yield AsyncDownload(suggested_name(response, otherwise), _announced(response), response)


def _announced(response: httpx.Response) -> int | None:
    length = response.headers.get("content-length")
    return int(length) if length and length.isdecimal() else None


def suggested_name(response: httpx.Response, otherwise: str) -> str:
    """Returns a plain file name: a server's suggestion must not choose a directory."""
    header = response.headers.get("content-disposition", "")
    match = re.search(r'filename="([^"]+)"|filename=([^;\s]+)', header)
    suggestion = (match.group(1) or match.group(2)) if match else unquote(response.url.path)
    name = PurePosixPath(suggestion.replace("\\", "/")).name
    if not match and not PurePosixPath(name).suffix:
        return otherwise
    return otherwise if name in ("", ".", "..") or not name.isprintable() else name
