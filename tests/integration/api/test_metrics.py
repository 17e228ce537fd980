"""`GET /metrics`, read as Prometheus reads it: with a token, and on a port of its own."""

import http.client
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fixtures.attached import Attached
from fixtures.holdfast import Api, await_backup, free_port, fresh
from holdfast.bootstrap import Parts, serve_metrics
from holdfast.domain.access import Permission
from holdfast.domain.errors import Invalid
from holdfast.settings import Settings

Samples = dict[tuple[str, ...], float]


def parsed(body: str) -> Samples:
    """By name and the values of the labels, in the labels' alphabetical order."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }


def scrape(api: Api) -> Samples:
    return parsed(api.based("").raw("GET", "/metrics").text)


def test_an_addon_is_measured_before_and_after_its_first_backup(
    api: Api, attached: Attached
) -> None:
    addon = attached.addon, attached.project
    before = scrape(api)
    assert before["holdfast_addon_state", *addon, "no plan", "postgresql"] == 1
    age = "holdfast_addon_last_good_backup_age_seconds", *addon, "postgresql"
    assert age not in before
    body = {"name": fresh("Backup"), "backupType": "dump", "compressionType": "gz"}
    made = api.post(f"{attached.path}/backups", body).data["id"]
    await_backup(api, f"{attached.path}/backups/{made}")
    after = scrape(api)
    assert 0 <= after[age] < 3600
    assert after["holdfast_addon_good_copies", *addon, "postgresql"] == 1
    size = after["holdfast_addon_stored_bytes", *addon, "postgresql"]
    assert after["holdfast_addon_last_good_backup_bytes", *addon, "postgresql"] == size > 0


def test_the_installation_and_its_process_are_measured(api: Api, attached: Attached) -> None:
    body = {"name": fresh("Backup"), "backupType": "dump", "compressionType": "gz"}
    made = api.post(f"{attached.path}/backups", body).data["id"]
    await_backup(api, f"{attached.path}/backups/{made}")
    samples = scrape(api)
    assert samples["holdfast_operations_ended_last_hour", "backup", "completed"] >= 1
    assert samples["holdfast_operations_ended_last_hour_seconds", "backup", "completed"] > 0
    assert samples["holdfast_store_moved_bytes_total", "written", "platform"] > 0
    assert samples["holdfast_store_call_seconds_count", "put", "platform"] > 0
    assert samples["holdfast_store_errors_total", "store.unavailable", "platform"] >= 0
    assert samples["holdfast_worker_nodes",] == 1
    assert samples["holdfast_scheduler_overdue_seconds",] >= 0
    assert samples["process_resident_memory_bytes",] > 0
    silences = [value for at, value in samples.items() if at[0].endswith("worker_silence_seconds")]
    assert len(silences) == 1


def test_a_token_is_needed_and_sees_only_its_projects(
    api: Api, attached: Attached, token_of: Callable[..., Api]
) -> None:
    other = token_of(list(Permission), projects=[api.project()])
    assert scrape(other) == {}
    assert Api(api.url, "wrong", "").raw("GET", "/metrics").status_code == 401


@contextmanager
def listening(home: Path, *, installation: bool, networks: str = "127.0.0.1/32") -> Iterator[int]:
    """The port of metrics of a process with an empty catalogue."""
    port = free_port()
    settings = Settings(data_dir=home, queue="table", metrics_port=port, metrics_networks=networks)
    listener = serve_metrics(Parts(settings), installation=installation)
    assert listener is not None
    try:
        yield port
    finally:
        listener.shutdown()
        listener.server_close()


def ask(port: int, path: str = "/metrics", source: str = "127.0.0.1") -> tuple[int, str]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=(source, 0))
    client.request("GET", path)
    answer = client.getresponse()
    return answer.status, answer.read().decode()


def test_a_port_of_its_own_needs_no_token_but_the_right_network(tmp_path: Path) -> None:
    with listening(tmp_path, installation=True) as port:
        status, body = ask(port)
        assert status == 200
        samples = parsed(body)
        assert samples["holdfast_worker_nodes",] == 0
        assert samples["holdfast_scheduler_overdue_seconds",] == 0
        assert ask(port, "/v1/projects")[0] == 404
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            ask(port, source="127.0.0.3")


def test_a_worker_tells_what_it_measured_itself(tmp_path: Path) -> None:
    with listening(tmp_path, installation=False) as port:
        samples = parsed(ask(port)[1])
    assert samples["process_open_fds",] > 0
    assert ("holdfast_worker_nodes",) not in samples


def test_idle_connections_do_not_keep_others_out_for_long(tmp_path: Path) -> None:
    """Four say nothing; a fifth is turned away, and asks again when those have gone."""
    with listening(tmp_path, installation=False) as port:
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
        for connection in idle:
            connection.sendall(b"GET /metr")
        for connection in idle:
            connection.close()
        while True:
            try:
                status, _ = ask(port)
            except (http.client.RemoteDisconnected, ConnectionResetError):
                continue
            break
        assert status == 200


def test_networks_that_are_none_end_the_start(tmp_path: Path) -> None:
    parts = Parts(Settings(data_dir=tmp_path, metrics_networks="10.0.0.0/99"))
    with pytest.raises(Invalid) as refused:
        serve_metrics(parts, installation=True)
    assert list(refused.value.details) == ["metrics_networks"]
    assert serve_metrics(Parts(Settings(data_dir=tmp_path)), installation=True) is None
