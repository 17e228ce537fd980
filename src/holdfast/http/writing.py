"""Runs a verb in the request's transaction, and answers a repeated request with the first answer.

The official clients repeat a POST whose connection died, without an idempotency header. So the
answer to a creating POST is kept for ten seconds, under a digest of token, path and body, in the
transaction of the change itself; a repeated one gets the first one's answer. A client that sends
its own `Idempotency-Key` decides itself what is a repetition.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel
from starlette.responses import Response

from holdfast.catalog.database.session import WriteSession, take_turns
from holdfast.catalog.work import replays
from holdfast.domain.access import Caller
from holdfast.http import answers
from holdfast.http.origin import origin_of
from holdfast.http.state import Api, State
from holdfast.usecases.auditing import audited
from holdfast.usecases.context import Context
from holdfast.views.shapes.base import Empty

Work = Callable[[Context], BaseModel | None]
T = TypeVar("T")


@dataclass(frozen=True)
class Writer:
    """Runs a verb in a transaction and answers with what it returned."""

    api: Api
    request: Request

    def run(self, caller: Caller, work: Callable[[Context], T]) -> T:
        """Runs a verb and returns what it returned."""
        return self._transaction(lambda session: self._run(session, caller, work))

    def change(self, caller: Caller, work: Work) -> Response:
        shape = self.run(caller, work)
        return answers.nothing() if shape is None else answers.one(shape)

    def _run(self, session: WriteSession, caller: Caller, work: Callable[[Context], T]) -> T:
        """Runs the verb and writes its changes to the audit log."""
        context = Context(session, caller, self.api.clock.now(), self.api.services)
        origin = origin_of(self.request)
        return audited(session, caller, origin, context.now, lambda: work(context))

    def _transaction(self, work: Callable[[WriteSession], T]) -> T:
        """Runs one transaction at a time: rows that a verb read do not change before it writes."""
        with self.api.catalog.write() as session:
            take_turns(session)
            return work(session)

    def undo(self, caller: Caller, work: Work) -> Response:
        """Runs a deletion or an abort, after which the same POST is a new one: forgets answers."""

        def undoing(context: Context) -> BaseModel | None:
            replays.forget_all(context.session)
            return work(context)

        return self.change(caller, undoing)

    @property
    def key(self) -> str:
        """The client's `Idempotency-Key`; empty: it has none."""
        return self.request.headers.get("idempotency-key", "")

    def digest(self, caller: Caller) -> str:
        """What a repetition of the request has in common with it."""
        request = self.request
        parts = [
            caller.token_id,
            request.method,
            request.url.path,
            request.url.query,
            request.state.body_digest,
            self.key,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def create(self, caller: Caller, work: Work) -> Response:
        digest = self.digest(caller)

        def once(session: WriteSession) -> dict[str, Any]:
            answer = replays.claim(session, digest)
            if answer is None:
                shape = self._run(session, caller, work) or Empty()
                answer = shape.model_dump(mode="json", by_alias=True, exclude_none=True)
                replays.keep(session, digest, answer)
            return answer

        document = {"data": self._transaction(once)}
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
        return Response(text, media_type=answers.MEDIA)


async def writer_of(request: Request, api: State) -> Writer:
    return Writer(api, request)


Writing = Annotated[Writer, Depends(writer_of)]
