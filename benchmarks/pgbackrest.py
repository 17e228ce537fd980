"""Settings of pgBackRest for a server of a benchmark."""

from collections.abc import Mapping
from pathlib import Path

from holdfast.contracts.local_servers import LocalServer

STANZA = "bench"
_SETTINGS = """
[global]
repo1-path={repository}
lock-path={locks}
log-level-file=off
log-level-console=error
{options}
[{stanza}]
pg1-path={place.directory}
pg1-port={place.port}
pg1-socket-path={place.directory}
pg1-user={place.user}
pg1-database=postgres
"""


def write_settings(
    path: Path, place: LocalServer, repository: Path, options: Mapping[str, object]
) -> None:
    """Its locks are beside the file. `options` are those of the section `global`."""
    text = _SETTINGS.format(
        repository=repository,
        locks=path.with_suffix(".locks"),
        options="\n".join(f"{name}={value}" for name, value in options.items()),
        stanza=STANZA,
        place=place,
    )
    path.write_text(text)
