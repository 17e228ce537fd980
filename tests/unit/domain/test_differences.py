"""Whether a restore that found differences may go on."""

from holdfast.domain.differences import SHOWN, Consent


def test_without_differences_nothing_has_to_be_allowed() -> None:
    assert Consent().refusal([], []) is None


def test_exactly_what_was_seen_is_accepted() -> None:
    consent = Consent(accepted=["a", "b"])
    assert consent.refusal(["a"], []) is None
    refusal = consent.refusal(["b", "c"], [])
    assert refusal is not None
    assert refusal.startswith("c; ")
    assert "--accept-differences" in refusal
    assert "acceptDifferences" in refusal


def test_skipped_objects_want_a_choice_of_their_own() -> None:
    refusal = Consent(accepted=["view v"]).refusal([], ["view v"])
    assert refusal is not None
    assert "view v" in refusal
    assert "--skip-failed-objects" in refusal
    assert Consent(skips_failed=True).refusal([], ["view v"]) is None
    assert Consent(skips_failed=True).refusal(["rows"], ["view v"]) is not None


def test_a_long_list_is_cut_and_counted() -> None:
    refusal = Consent().refusal([str(number) for number in range(SHOWN + 5)], [])
    assert refusal is not None
    assert "and 5 more" in refusal
