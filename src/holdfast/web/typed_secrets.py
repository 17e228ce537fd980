"""Carries secrets that were typed into a form through a page that comes back to it.

A secret is never written back in the clear: the page carries it sealed, for its session alone.
"""

import json
from collections.abc import Sequence

from fastapi import Request

from holdfast.domain.errors import SealBroken
from holdfast.http.state import of
from holdfast.kit.seal import Secret
from holdfast.web.forms import Form
from holdfast.web.session import Viewer

FIELD = "sealed"
"""The hidden field that carries them."""


def seal(request: Request, viewer: Viewer, form: Form, names: Sequence[str]) -> str:
    """The form's values of the fields `names`, sealed; empty without any."""
    secrets = {name: form.value(name) for name in names if form.value(name)}
    if not secrets:
        return ""
    return of(request).services.sealer.seal(Secret(json.dumps(secrets)), _context(viewer))


def restore(request: Request, viewer: Viewer, form: Form) -> Form:
    """Gives fields that were not typed again the values that the form's page carried."""
    try:
        sealer = of(request).services.sealer
        secrets = json.loads(sealer.open(form.value(FIELD), _context(viewer)).reveal())
    except SealBroken:  # there is none, or it is of another session
        return form
    form.values |= {name: form.value(name) or secret for name, secret in secrets.items()}
    return form


def _context(viewer: Viewer) -> str:
    return f"typed secrets of {viewer.session_id}"
