"""Twelve ways to die. Each is reported on two channels, by a real webhook and a real mail server,
and closed on both when it is healed; nothing is sent twice."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fixtures.breakable import Breakable, attach_breakable
from fixtures.debian_postgres import Database, running_postgres
from fixtures.fleet import Fleet
from fixtures.holdfast import Api, Server, await_that, start_holdfast
from fixtures.installation import installation_home
from fixtures.receivers import Hook, MailServer, serve_hook
from fixtures.s3 import S3Server

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), Path())
SICK = str(Path(__file__).with_name("sick_host.py"))
REPORTED_WITHIN_SECONDS = 300
QUICK = {
    "HOLDFAST_WATCH_EVERY": "0.4",
    "HOLDFAST_DEAD": "3",
    "HOLDFAST_SETTLE": "3",
}


@dataclass
class Receivers:
    """A webhook and a mailbox that every alarm goes to."""

    hook: Hook
    mail: MailServer

    def add_to(self, api: Api) -> None:
        hook = {"name": "The hook", "kind": "webhook", "settings": {"url": self.hook.url}}
        assert api.post("/channels", hook).status == 200
        mail = {"name": "The mail", "kind": "email", "settings": self.mail.settings}
        assert api.post("/channels", mail).status == 200

    def alarms(self, event: str, kind: str) -> list[dict[str, Any]]:
        """Those of this kind that the webhook was told of."""
        told = [alarm for each in self.hook.events(event) for alarm in each["alarms"]]
        return [alarm for alarm in told if alarm["kind"] == kind]

    def await_told(self, event: str, kind: str, count: int) -> dict[str, Any]:
        """The newest of so many alarms of a kind, as soon as both channels were told of it."""
        await_that(
            lambda: len(self.alarms(event, kind)) == count,
            REPORTED_WITHIN_SECONDS,
            lambda: f"{kind}: {[each.json['title'] for each in self.hook.posted]}",
        )
        alarm = self.alarms(event, kind)[-1]
        word = "Alarm: " if event == "alarm.opened" else "Resolved: "

        def mailed() -> bool:
            subjects = [str(mail["subject"]) for mail in self.mail.mails]
            return any(text.startswith(word) and alarm["subject"] in text for text in subjects)

        await_that(mailed, REPORTED_WITHIN_SECONDS)
        return alarm

    def await_noted(self, api: Api) -> None:
        """Until every process has noted what it sent: one that is killed before has it sent again,
        under the same id, because nobody can know that it arrived."""
        await_that(lambda: not api.get("/deliveries", waiting="true").data["deliveries"])

    def require_nothing_twice(self) -> None:
        ids = [each.headers["webhook-id"] for each in self.hook.posted]
        assert len(ids) == len(set(ids)), "an event went to the webhook twice"
        mails = [str(mail["message-id"]) for mail in self.mail.mails]
        assert len(mails) == len(set(mails)), "a mail was sent twice"
        told = [
            (each.json["event"], alarm["id"])
            for each in self.hook.posted
            for alarm in each.json.get("alarms", ())
        ]
        assert len(told) == len(set(told)), "an alarm was told twice"


@dataclass
class Sick:
    """An installation in one process, on a host that tests make ill."""

    home: Path
    server: Server
    receivers: Receivers
    addon: Breakable
    restart_database: Callable[[], None]
    stop_database: Callable[[], None]

    @property
    def symptoms(self) -> Path:
        return self.home / "symptoms"

    @property
    def has_disks(self) -> bool:
        """Whether the host could be given disks of its own; else bad ones are pretended."""
        return (self.symptoms / "mounted").exists()

    @property
    def data(self) -> Path:
        """The data directory, as the process sees it."""
        return Path(f"/proc/{self.server.child.pid}/root{self.server.data_dir}")

    def fill(self, disk: Path, leave_bytes: int = 0) -> None:
        """Until no more than that is free."""
        free = os.statvfs(disk)
        with (disk / "ballast").open("wb") as ballast:
            os.posix_fallocate(
                ballast.fileno(), 0, free.f_bavail * free.f_frsize - max(leave_bytes, 4096)
            )
            if not leave_bytes:  # the last page, which the file's own rounding may need
                with suppress(OSError):
                    while os.write(ballast.fileno(), bytes(4096)):
                        pass

    def mount_volume(self, how: str) -> None:
        """Again, `ro` or `rw`; not while a file there is being written."""
        pid, path = str(self.server.child.pid), str(self.server.data_dir / "volume")
        argv = ["nsenter", "--target", pid, "--mount", "mount", "-o", f"remount,{how}", path]
        await_that(lambda: subprocess.run(argv, check=False, capture_output=True).returncode == 0)

    def die_and_heal(
        self, kind: str, die: Callable[[], object], heal: Callable[[], object]
    ) -> dict[str, Any]:
        """The alarm that comes of `die`; that it ends by `heal` is seen to, too.

        Begins when the last way is over: a full disk is an unusable store as well.
        """
        api = self.server.api()
        await_that(lambda: not api.get("/alarms", open="true").data["alarms"])
        self.receivers.await_noted(api)
        opened = len(self.receivers.alarms("alarm.opened", kind))
        closed = len(self.receivers.alarms("alarm.closed", kind))
        die()
        alarm = self.receivers.await_told("alarm.opened", kind, opened + 1)
        heal()
        self.receivers.await_told("alarm.closed", kind, closed + 1)
        self.receivers.require_nothing_twice()
        return alarm


@pytest.fixture(scope="module")
def receivers() -> Iterator[Receivers]:
    hooks, mail = serve_hook(), MailServer(None)
    mail.start()
    yield Receivers(next(hooks), mail)
    mail.stop()
    next(hooks, None)


@pytest.fixture(scope="module")
def sick(receivers: Receivers) -> Iterator[Sick]:
    postgres = running_postgres()
    child = [postgres.child]

    def stop() -> None:
        child[-1].send_signal(signal.SIGINT)
        child[-1].wait(30)

    def start() -> None:
        again = subprocess.Popen(
            postgres.child.args,  # type: ignore[arg-type]
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user="postgres" if os.geteuid() == 0 else None,
            cwd=postgres.home,
            start_new_session=True,
        )
        child.append(again)
        await_that(lambda: _answers(postgres.database))

    with installation_home() as home:
        (home / "symptoms").mkdir()
        (home / "symptoms" / "clock").write_text("+0")
        # What the process writes on its own disk is not seen here; but this is read to wait for it.
        token = "hft_of_the_owner_of_a_sick_host"
        (home / "data").mkdir(mode=0o711)
        (home / "data" / "owner.token").write_text(token)
        store = {"kind": "local", "directory": str(home / "data" / "volume" / "store")}
        (home / "store.json").write_text(json.dumps(store))
        environment = {
            **QUICK,
            "SICK_HOST": str(home / "symptoms"),
            "HOLDFAST_STORE_FILE": str(home / "store.json"),
            "HOLDFAST_OWNER_TOKEN": token,
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(home / "symptoms" / "clock"),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        server = start_holdfast(home, program=SICK, **environment)
        try:
            api = server.api()
            database = postgres.database.create()
            addon = attach_breakable(api, postgres.database, database)
            assert addon.back_up() == "completed"
            receivers.add_to(api)
            yield Sick(home, server, receivers, addon, start, stop)
        finally:
            server.stop()
            child[-1].kill()
            child[-1].wait()
            shutil.rmtree(postgres.home, ignore_errors=True)


def _answers(database: Database) -> bool:
    try:
        return bool(database.run("SELECT 1"))
    except Exception:  # noqa: BLE001 - it starts
        return False


@pytest.mark.slow
def test_1_the_database_is_down(sick: Sick) -> None:
    def die() -> None:
        sick.stop_database()
        assert sick.addon.back_up() == "failed"

    def heal() -> None:
        sick.restart_database()
        assert sick.addon.back_up() == "completed"

    alarm = sick.die_and_heal("addon.backup-failed", die, heal)
    assert "127.0.0.1" in alarm["reason"]


def test_2_its_password_was_changed(sick: Sick) -> None:
    def die() -> None:
        sick.addon.break_password()
        assert sick.addon.back_up() == "failed"

    def heal() -> None:
        sick.addon.heal_password()
        assert sick.addon.back_up() == "completed"

    alarm = sick.die_and_heal("addon.backup-failed", die, heal)
    assert "refused the password" in alarm["reason"]


@pytest.mark.slow
def test_3_its_user_was_dropped(sick: Sick) -> None:
    def die() -> None:
        sick.addon.drop_user()
        assert sick.addon.back_up() == "failed"

    def heal() -> None:
        sick.addon.add_user()
        assert sick.addon.back_up() == "completed"

    alarm = sick.die_and_heal("addon.backup-failed", die, heal)
    assert sick.addon.role in alarm["reason"]


def test_4_the_disk_is_full(sick: Sick) -> None:
    """The catalogue is there, too, so the alarm comes before no byte is free."""
    if not sick.has_disks:
        full = sick.symptoms / "full"
        alarm = sick.die_and_heal("disk.nearly-full", full.touch, full.unlink)
        assert "1.0 MiB of" in alarm["reason"]
        return
    ballast = sick.data / "ballast"
    alarm = sick.die_and_heal(
        "disk.nearly-full", lambda: sick.fill(sick.data, 40 << 20), ballast.unlink
    )
    assert " MiB of 320.0 MiB are free" in alarm["reason"]


def test_4b_the_store_is_full(sick: Sick) -> None:
    if not sick.has_disks:
        full = sick.symptoms / "full"
        sick.die_and_heal("store.unusable", full.touch, full.unlink)
        return
    volume = sick.data / "volume"

    def die() -> None:
        sick.fill(volume)
        assert sick.addon.back_up() == "failed"

    def heal() -> None:
        (volume / "ballast").unlink()
        assert sick.addon.back_up() == "completed"

    alarm = sick.die_and_heal("store.unusable", die, heal)
    assert "No space left on device" in alarm["reason"]


def test_5_the_store_is_away(sick: Sick) -> None:
    store = (sick.data if sick.has_disks else sick.server.data_dir) / "volume" / "store"
    away = store.with_name("away")

    def heal() -> None:
        shutil.rmtree(store, ignore_errors=True)
        away.rename(store)

    alarm = sick.die_and_heal("store.unusable", lambda: store.rename(away), heal)
    assert alarm["subject"] == "the platform store"


@pytest.mark.slow
def test_6_the_store_is_read_only(sick: Sick) -> None:
    if sick.has_disks:
        alarm = sick.die_and_heal(
            "store.unusable", lambda: sick.mount_volume("ro"), lambda: sick.mount_volume("rw")
        )
    else:
        readonly = sick.symptoms / "readonly"
        alarm = sick.die_and_heal("store.unusable", readonly.touch, readonly.unlink)
    assert "Read-only file system" in alarm["reason"]


@pytest.mark.slow
def test_6b_a_bucket_is_read_only(sick: Sick, s3_server: S3Server) -> None:
    """It can still be listed and read, so only trying to write shows it: before a backup does."""
    api, bucket = sick.server.api(), s3_server.bucket()
    credentials = s3_server.credentials(bucket)
    body = {"name": "Far", "type": "s3", "prefix": "", "credentials": credentials}
    destination = api.post("/backup-destinations", body).data["id"]
    failures: list[dict[str, Any]] = []

    def die() -> None:
        s3_server.refuse_writes(bucket)

    def heal() -> None:
        failures.append(sick.addon.try_backup(customDestinationId=destination))
        s3_server.allow_writes(bucket)

    alarm = sick.die_and_heal("store.unusable", die, heal)
    assert alarm["subject"] == "store far"
    assert "AccessDenied" in alarm["reason"]
    (failure,) = failures
    assert failure["status"] == "failed"
    assert "AccessDenied" in failure["reason"]
    assert sick.addon.try_backup(customDestinationId=destination)["status"] == "completed"


@pytest.mark.slow
def test_10_the_clock_jumped(sick: Sick) -> None:
    clock = sick.symptoms / "clock"
    sick.die_and_heal("clock.jumped", lambda: clock.write_text("+7200"), lambda: None)
    alarm = sick.die_and_heal("clock.jumped", lambda: clock.write_text("+0"), lambda: None)
    assert alarm["reason"].startswith("it went back by ")


def test_11_the_master_key_is_missing(sick: Sick) -> None:
    key = (sick.data if sick.has_disks else sick.server.data_dir) / "master.key"
    away = key.with_name("elsewhere")
    alarm = sick.die_and_heal(
        "master-key.missing", lambda: key.rename(away), lambda: away.rename(key)
    )
    assert alarm["reason"].endswith("master.key")


@pytest.mark.slow
def test_12_the_mail_server_is_dead(sick: Sick, other_hook: Hook) -> None:
    """What it could not take is a message on two others, and waits until it comes back."""
    other = {"name": "Another hook", "kind": "slack", "settings": {"url": other_hook.url}}
    assert sick.server.api().post("/channels", other).status == 200
    receivers = sick.receivers
    before = len(receivers.mail.mails)
    receivers.mail.stop()
    sick.addon.break_password()
    assert sick.addon.back_up() == "failed", "a dead mail server delays no backup"

    def reported(sent: list[Any]) -> Any:
        return [each for each in sent if b"channel the-mail does not deliver" in each.body]

    await_that(lambda: reported(receivers.hook.posted), REPORTED_WITHIN_SECONDS)
    await_that(lambda: reported(other_hook.posted), REPORTED_WITHIN_SECONDS)
    sick.addon.heal_password()
    assert sick.addon.back_up() == "completed"
    receivers.mail.start()
    await_that(lambda: receivers.alarms("alarm.closed", "channel.failing"), 300)
    await_that(lambda: len(receivers.mail.mails) == before + 2)
    words = [str(mail["subject"]).partition(":")[0] for mail in receivers.mail.mails[before:]]
    assert words == ["Alarm", "Resolved"], "what waited went in order"
    receivers.require_nothing_twice()


@pytest.fixture
def fleet(debian_postgres: Database) -> Iterator[Fleet]:
    fleet = Fleet(debian_postgres, debian_postgres.create(), "table")
    fleet.environment.update(HOLDFAST_WATCH_EVERY="0.4")
    fleet.start_all(workers=1)
    yield fleet
    fleet.stop()


@pytest.mark.slow
def test_7_8_9_workers_schedulers_and_whole_hosts_die(
    fleet: Fleet, hook: Hook, mail_server: MailServer
) -> None:
    """Whichever process lives complains about the others; the API is the last one here."""
    receivers = Receivers(hook, mail_server)
    receivers.add_to(fleet.api())
    api, scheduler = fleet.others
    (worker,) = fleet.workers

    worker.kill()
    receivers.await_told("alarm.opened", "workers.dead", 1)
    fleet.revive_workers()
    receivers.await_told("alarm.closed", "workers.dead", 1)
    receivers.await_noted(fleet.api())

    scheduler.kill()
    receivers.await_told("alarm.opened", "schedulers.dead", 1)
    fleet.others = [api, fleet.start("scheduler", name="scheduler")]
    receivers.await_told("alarm.closed", "schedulers.dead", 1)
    receivers.await_noted(fleet.api())

    fleet.others[1].kill()  # a host with both
    fleet.workers[0].kill()
    receivers.await_told("alarm.opened", "workers.dead", 2)
    receivers.await_told("alarm.opened", "schedulers.dead", 2)
    fleet.others = [api, fleet.start("scheduler", name="scheduler")]
    fleet.revive_workers()
    receivers.await_told("alarm.closed", "workers.dead", 2)
    receivers.await_told("alarm.closed", "schedulers.dead", 2)
    receivers.require_nothing_twice()
