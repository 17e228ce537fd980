"""Hashes passwords with argon2id, a few at a time.

A hash takes 32 MiB and some 50 ms of a core, so that guessing is dear; that also makes it a way to
keep a server busy. So they are made in threads of their own, of which there are half as many as
cores, and beyond a number that waits further ones are refused.
"""

import asyncio
import os
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from holdfast.domain.errors import SignInBusy
from holdfast.kit.seal import Secret

MAX_WAITING = 64
_ARGON2 = PasswordHasher(
    time_cost=3, memory_cost=32 << 10, parallelism=1, hash_len=32, salt_len=16, type=Type.ID
)
"""Above the least that OWASP's cheat sheet on storing passwords names: 19 MiB, twice."""

T = TypeVar("T")


class Hasher:
    """A small pool of threads that hash. For all threads."""

    def __init__(self) -> None:
        self._waiting = threading.BoundedSemaphore(MAX_WAITING)

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        count = max((os.cpu_count() or 2) // 2, 1)
        return ThreadPoolExecutor(count, thread_name_prefix="hasher")

    @cached_property
    def _decoy(self) -> str:
        """The hash of a password that there is not, so that an unknown name takes as long."""
        return _ARGON2.hash(secrets.token_hex(16))

    def hash(self, password: Secret) -> str:
        """Returns the hash with its parameters. Raises SignInBusy when too many wait."""
        return self._start(lambda: _ARGON2.hash(password.reveal())).result()

    async def verify(self, stored: str | None, password: Secret) -> bool:
        """Whether the hash is the password's; without a hash no, as slowly as with one.

        Raises SignInBusy when too many wait.
        """
        return await asyncio.wrap_future(self._start(lambda: self._fits(stored, password)))

    def _fits(self, stored: str | None, password: Secret) -> bool:
        try:
            _ARGON2.verify(stored or self._decoy, password.reveal())
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

    def _start(self, work: Callable[[], T]) -> "Future[T]":
        if not self._waiting.acquire(blocking=False):
            raise SignInBusy
        future = self._threads.submit(work)
        future.add_done_callback(lambda _: self._waiting.release())
        return future
