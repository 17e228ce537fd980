"""TLS by certificate files, and what is said when they are no good."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from fixtures.certificates import Certified
from fixtures.holdfast import HOLDFAST, Server, start_holdfast
from holdfast import settings
from holdfast.domain.errors import Invalid


@pytest.fixture
def encrypted(tmp_path: Path, certified: Certified) -> Iterator[Server]:
    home = tmp_path / "home"
    home.mkdir()
    server = start_holdfast(
        home,
        trust=certified.trust(),
        HOLDFAST_TLS_CERTIFICATE=str(certified.certificate),
        HOLDFAST_TLS_KEY=str(certified.key),
    )
    yield server
    server.stop()


def test_it_speaks_tls_with_the_given_certificate_and_nothing_else(
    encrypted: Server, certified: Certified
) -> None:
    headers = {"authorization": f"Bearer {encrypted.token}"}
    answer = httpx.get(
        f"{encrypted.url}/v1/login", headers=headers, verify=certified.trust(), timeout=60
    )
    assert answer.json() == {"data": {}}
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        httpx.get(f"{encrypted.url}/v1/login", timeout=60)
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{encrypted.url.replace('https', 'http')}/v1/login", timeout=60)
    place = urlsplit(encrypted.url)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLS"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    where = (place.hostname or "", place.port or 0)
    with (
        socket.create_connection(where, 60) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        old.wrap_socket(plain)


def test_live_logs_and_links_go_over_it(encrypted: Server, certified: Certified) -> None:
    url = f"{encrypted.url.replace('https', 'wss')}/nowhere"
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(url, ssl=certified.trust(), open_timeout=60),
    ):
        pass
    assert refused.value.response.status_code in (403, 404)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"tls_key": ""}, "tls_key"),
        ({"tls_certificate": ""}, "tls_certificate"),
        ({"tls_certificate": "/nowhere.pem"}, "tls_certificate"),
    ],
)
def test_half_a_pair_names_the_setting(
    tmp_path: Path, certified: Certified, change: dict[str, str], names: str
) -> None:
    whole = {"tls_certificate": str(certified.certificate), "tls_key": str(certified.key)}
    with pytest.raises(Invalid) as refused:
        settings.tls_files(settings.load({"data_dir": tmp_path, **whole, **change}))
    assert refused.value.details.keys() == {names}


def test_a_key_that_everybody_can_read_is_refused(tmp_path: Path, certified: Certified) -> None:
    certified.key.chmod(0o644)
    whole = {"tls_certificate": str(certified.certificate), "tls_key": str(certified.key)}
    with pytest.raises(Invalid, match="read by everybody"):
        settings.tls_files(settings.load({"data_dir": tmp_path, **whole}))


def test_a_key_of_another_certificate_is_said_before_anything_starts(
    tmp_path: Path, certified: Certified
) -> None:
    argv = [HOLDFAST, "serve", "--data-dir", str(tmp_path / "data"), "--port", "0"]
    argv += ["--tls-certificate", str(certified.authority), "--tls-key", str(certified.key)]
    ended = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=120)
    assert ended.returncode != 0
    assert "tls_certificate" in ended.stderr
    assert "Traceback" not in ended.stderr
