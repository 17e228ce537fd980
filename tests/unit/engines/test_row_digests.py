"""Digests of tables depend on their rows and on nothing else."""

import random

from holdfast.engines.row_digests import RowDigest, contents


def digest_of(*batches: list[bytes]) -> RowDigest:
    digest = RowDigest()
    for batch in batches:
        digest.add(batch)
    return digest


def test_the_order_and_the_batches_of_rows_do_not_matter() -> None:
    rows = [str(number % 50).encode() for number in range(1000)]
    shuffled = random.Random(1).sample(rows, len(rows))
    whole = digest_of(rows).content()
    assert whole.rows == 1000
    assert digest_of(shuffled[:7], [], shuffled[7:]).content() == whole


def test_every_row_counts_as_often_as_it_is_there() -> None:
    known = [
        digest_of(rows).content().digest
        for rows in ([], [b""], [b"", b""], [b"a"], [b"a", b"a"], [b"aa"], [b"a", b"a", b"b"])
    ]
    assert len(set(known)) == len(known)


def test_tables_without_rows_are_left_out() -> None:
    assert contents({"empty": digest_of([]), "full": digest_of([b"x"])}).keys() == {"full"}
