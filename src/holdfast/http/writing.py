"""One request, one transaction: the context a verb runs in, and answers given twice.

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

Work = Callable[[Context], BaseModel | None]
T = TypeVar("T")


@dataclass(frozen=True)
class Writer:
    """Runs a verb in a transaction and answers with what it returned."""

    api: Api
    request: Request

    def change(self, caller: Caller, work: Work) -> Response:
        shape = self._transaction(lambda session: self._done(session, caller, work))
        return answers.nothing() if shape is None else answers.one(shape)

    def _done(self, session: WriteSession, caller: Caller, work: Work) -> BaseModel | None:
        """The verb, and what it changed in the audit log."""
        context = self._context(session, caller)
        origin = origin_of(self.request)
        return audited(session, caller, origin, context.now, lambda: work(context))

    def _context(self, session: WriteSession, caller: Caller) -> Context:
        return Context(session, caller, self.api.clock.now(), self.api.services)

    def _transaction(self, work: Callable[[WriteSession], T]) -> T:
        """One at a time: what a verb looked at does not change before it has written."""
        with self.api.catalog.write() as session:
            take_turns(session)
            return work(session)

    def undo(self, caller: Caller, work: Work) -> Response:
        """After a deletion or an abort the same POST means a new thing: no answer is kept."""

        def undoing(context: Context) -> BaseModel | None:
            replays.forget_all(context.session)
            return work(context)

        return self.change(caller, undoing)

    def create(self, caller: Caller, work: Work) -> Response:
        digest = self._digest(caller)

        def once(session: WriteSession) -> dict[str, Any]:
            kept = replays.claim(session, digest)
            if kept is None:
                kept = _document(self._done(session, caller, work))
                replays.keep(session, digest, kept)
            return kept

        answer = {"data": self._transaction(once)}
        return Response(_compact(answer), media_type=answers.MEDIA)

    def _digest(self, caller: Caller) -> str:
        request = self.request
        parts = [
            caller.token_id,
            request.method,
            request.url.path,
            request.url.query,
            request.state.body_digest,
            request.headers.get("idempotency-key", ""),
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _document(shape: BaseModel | None) -> dict[str, Any]:
    return {} if shape is None else shape.model_dump(mode="json", by_alias=True, exclude_none=True)


async def _writer(request: Request, api: State) -> Writer:
    return Writer(api, request)


Writing = Annotated[Writer, Depends(_writer)]


def _compact(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)
