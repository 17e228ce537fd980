"""`GET /metrics`, read as Prometheus reads it."""

from collections.abc import Callable

from prometheus_client.parser import text_string_to_metric_families

from fixtures.attached import Attached
from fixtures.holdfast import Api, await_backup, fresh
from holdfast.domain.access import Permission

Samples = dict[tuple[str, str, str], float]


def scrape(api: Api, addon: str) -> Samples:
    """By name and, for states, the state."""
    body = api.based("").raw("GET", "/metrics").text
    return {
        (sample.name, sample.labels.get("state", ""), sample.labels.get("addon", "")): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
        if sample.labels.get("addon") == addon
    }


def test_an_addon_is_measured_before_and_after_its_first_backup(
    api: Api, attached: Attached
) -> None:
    before = scrape(api, attached.addon)
    assert before["holdfast_addon_state", "no plan", attached.addon] == 1
    age = "holdfast_addon_last_good_backup_age_seconds", "", attached.addon
    assert age not in before
    body = {"name": fresh("Backup"), "backupType": "dump", "compressionType": "gz"}
    made = api.post(f"{attached.path}/backups", body).data["id"]
    await_backup(api, f"{attached.path}/backups/{made}")
    after = scrape(api, attached.addon)
    assert 0 <= after[age] < 3600
    assert after["holdfast_addon_good_copies", "", attached.addon] == 1
    assert after["holdfast_addon_stored_bytes", "", attached.addon] > 0


def test_a_token_is_needed_and_sees_only_its_projects(
    api: Api, attached: Attached, token_of: Callable[..., Api]
) -> None:
    other = token_of(list(Permission), projects=[api.project()])
    assert scrape(other, attached.addon) == {}
    assert "holdfast_operations{" not in other.based("").raw("GET", "/metrics").text
    assert Api(api.url, "wrong", "").raw("GET", "/metrics").status_code == 401
