"""Files of the stock dump tool through the API: by address and by upload, managed and attached."""

import gzip
import hashlib
from typing import Any

import pytest
import zstandard

from fixtures.bodies import BILLING, OCTETS
from fixtures.holdfast import Api, await_backup, await_restore, await_that, fresh
from fixtures.mysql import MySQLServer, url_of
from fixtures.offered import Offered

pytestmark = pytest.mark.sqlite_first

TYPE = {"type": "mysql"}
PLAIN = (
    b"-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB, for debian-linux-gnu (x86_64)\n--\n"
    b"-- Server version\t10.11.6-MariaDB\n/*!40101 SET NAMES utf8mb4 */;\n"
    b"CREATE TABLE `t` (`id` int(11) NOT NULL, `v` text DEFAULT NULL, PRIMARY KEY (`id`))"
    b" ENGINE=InnoDB;\n"
    b"INSERT INTO `t` VALUES\n(1,'a'),\n(2,'b),(');\n"
    b"DELIMITER ;;\n/*!50003 CREATE*/ /*!50020 DEFINER=`root`@`%`*/ /*!50003 PROCEDURE `p`()"
    b"\nSELECT 7 */;;\n"
    b"DELIMITER ;\n-- Dump completed on 2024-02-29 12:00:00\n"
)


def restored(api: Api, path: str, backup: str) -> dict[str, Any]:
    one = f"{path}/backups/{backup}"
    return await_restore(api, one, api.post(f"{one}/restore").data["restoreId"])


def test_a_file_by_address_goes_into_an_attached_server(
    api: Api, mariadb: MySQLServer, offered: Offered
) -> None:
    project = api.project()
    body = {"name": fresh("Own"), **TYPE, "connectionString": url_of(mariadb)}
    path = f"/projects/{project}/addons/{api.post(f'/projects/{project}/addons', body).data['id']}"
    mariadb.execute("CREATE DATABASE others_own")
    url = offered.offer("/whatever", zstandard.compress(PLAIN))
    made = api.post(f"{path}/import", {"importUrl": url}).data["id"]
    backup = await_backup(api, f"{path}/backups/{made}")
    assert backup["config"]["source"] == {"type": "externalDump"}
    evidence = api.get(f"{path}/backups/{made}/evidence").data
    assert all(check["passed"] for check in evidence["checks"])
    assert restored(api, path, made)["report"]["rows"] == 2
    assert mariadb.execute("SELECT v FROM main.t ORDER BY id") == [("a",), ("b),(",)]
    assert mariadb.execute("CALL main.p()") == [(7,)]
    assert mariadb.execute("SHOW DATABASES LIKE 'others_own'")
    header = b"\xef\xbb\xbf-- begin app metadata\n-- [app]\n\n/* of the shop */\n# end\n"
    for name, file in {
        "/zeros": gzip.compress(PLAIN) + bytes(4096),
        "/more": gzip.compress(PLAIN[:500]) + gzip.compress(PLAIN[500:]) + b"more",
        "/header": header + PLAIN,
    }.items():
        again = api.post(f"{path}/import", {"importUrl": offered.offer(name, file)}).data["id"]
        await_backup(api, f"{path}/backups/{again}")
    assert restored(api, path, again)["report"]["rows"] == 2
    cut = offered.offer("/cut", gzip.compress(PLAIN[: PLAIN.index(b"-- Dump completed")]))
    failed = api.post(f"{path}/import", {"importUrl": cut}).data["id"]
    assert "cut off" in await_backup(api, f"{path}/backups/{failed}", "failed")["reason"]
    assert api.delete(path).data == {}


def test_an_uploaded_file_goes_into_a_managed_server(api: Api) -> None:
    project = api.project()
    body = {"name": fresh("Maria"), **TYPE, "version": "latest", "billing": BILLING}
    path = f"/projects/{project}/addons/{api.post(f'/projects/{project}/addons', body).data['id']}"
    await_that(lambda: api.get(path).data["status"] == "running")
    file = gzip.compress(PLAIN)
    announced = {"size": len(file), "sha256": hashlib.sha256(file).hexdigest()}
    upload = api.post(f"{path}/uploads", announced).data["id"]
    api.ask("PUT", f"{path}/uploads/{upload}/content", params={"offset": 0}, content=file,
            headers=OCTETS)  # fmt: skip
    made = api.post(f"{path}/import", {"uploadId": upload, "compressionType": "zstd"}).data["id"]
    backup = await_backup(api, f"{path}/backups/{made}")
    assert backup["config"]["source"] == {"type": "fileUpload"}
    report = restored(api, path, made)["report"]
    assert (report["rows"], report["tables"]) == (2, 1)
    later = api.post(f"{path}/backups", {"name": "After", "backupType": "dump"}).data["id"]
    await_backup(api, f"{path}/backups/{later}")
    assert api.delete(path).data == {}
