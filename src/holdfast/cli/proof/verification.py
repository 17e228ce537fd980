"""Verifies reports from their files alone: signatures, the digests of their pages, their chain."""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, cast

import typer

from holdfast.domain.proof.reports import FORMAT, Claim, Link, beginnings, breaks
from holdfast.kit.sign import PublicKey

_FILE = re.compile(r"report-([1-9][0-9]*)\.(json|html|sig)")
_CHUNK_BYTES = 1 << 20
_HEAD_BYTES = 1 << 20
"""More than the first line of a report, which says everything about it but its content."""


@dataclass
class Verdict:
    """`reports` has a row for each report: number, about, from, to, madeAt, verdict."""

    fingerprint: str
    reports: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    problems: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])


class _Unreadable(Exception):
    """The file is no report; the message says why."""


def read_key(path: Path) -> PublicKey:
    try:
        return PublicKey.from_pem(path.read_text())
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"--key {path} is no public Ed25519 key: {error}") from error


def verify(directories: Sequence[Path], key: PublicKey) -> Verdict:
    """Checks every report in these directories, and that they belong together."""
    verdict, claims = Verdict(key.fingerprint), list[Claim]()
    for directory in directories:
        numbers = numbers_in(directory)
        if not numbers:
            raise typer.BadParameter(f"{directory} has no reports: files named report-N.json")
        for number in numbers:
            row, claim, problems = check(directory, number, key)
            row["verdict"] = "; ".join(problems) or "verified"
            verdict.reports.append(row)
            verdict.problems += [f"{directory}/report-{number}: {text}" for text in problems]
            if claim is not None:
                claims.append(claim)
    verdict.problems += breaks(claims)
    verdict.notes += beginnings(claims)
    return verdict


def numbers_in(directory: Path) -> list[int]:
    if not directory.is_dir():
        raise typer.BadParameter(f"{directory} is no directory")
    matches = (_FILE.fullmatch(path.name) for path in directory.iterdir())
    return sorted({int(match[1]) for match in matches if match is not None})


def check(
    directory: Path, number: int, key: PublicKey
) -> tuple[dict[str, object], Claim | None, list[str]]:
    """A row for people, the report's claim, and what is wrong with its files."""
    row: dict[str, object] = {"number": number}
    path = directory / f"report-{number}.json"
    try:
        head = read_head(path)
        claim = claim_of(head, _sha256(path))
    except (OSError, _Unreadable) as error:
        return row, None, [f"the JSON cannot be read: {error}"]
    period: dict[str, object] = head["period"]
    row |= {"about": claim.scope, **period, "madeAt": head["madeAt"]}
    problems = list(signature_problems(path, head, key))
    if claim.number != number:
        problems.append(f"the file holds report {claim.number}: it was renamed")
    page = path.with_suffix(".html")
    if not page.exists():
        problems.append("the HTML is missing")
    elif _sha256(page) != head["htmlSha256"]:
        problems.append("the HTML was changed: it has another sha256 than the JSON names")
    return row, claim, problems


def signature_problems(path: Path, head: dict[str, Any], key: PublicKey) -> Iterator[str]:
    try:
        signature = path.with_suffix(".sig").read_bytes()
    except FileNotFoundError:
        yield "the signature is missing"
        return
    with (
        path.open("rb") as file,
        mmap(file.fileno(), 0, access=ACCESS_READ) as mapped,
        memoryview(mapped) as body,
    ):
        valid = key.verifies(signature, body)
    if valid:
        return
    if head["keySha256"] != key.fingerprint:
        yield (
            f"it was signed with another key than this one: with {head['keySha256']}, not"
            f" {key.fingerprint}"
        )
    else:
        yield "the JSON or its signature was changed: the signature does not fit"


def read_head(path: Path) -> dict[str, Any]:
    """What a report says before its content: the first line, without the list that it begins."""
    with path.open("rb") as file:
        line = file.readline(_HEAD_BYTES).rstrip(b"\n")
    try:
        head = json.loads(line + b"]}")
    except ValueError as error:
        raise _Unreadable(f"it is no report, or was changed: {error}") from error
    if not isinstance(head, dict) or cast("dict[str, Any]", head).get("format") != FORMAT:
        raise _Unreadable(f"it is no report of the format {FORMAT}, or was changed")
    return cast("dict[str, Any]", head)


def claim_of(head: dict[str, Any], sha256: str) -> Claim:
    try:
        _ = head["htmlSha256"], head["keySha256"], head["madeAt"], {**head["period"]}
        return Claim(
            number=int(head["number"]),
            project=head["scope"].get("project"),
            sha256=sha256,
            previous=_link(head.get("previous")),
            scope_previous=_link(head.get("previousOfScope")),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _Unreadable(f"its head lacks something: {error}") from error


def _link(document: dict[str, Any] | None) -> Link | None:
    return None if document is None else Link(int(document["number"]), str(document["sha256"]))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
