"""Filters the definitions of a foreign dump: none reaches beyond its databases or runs code.

Documents are only data, whatever they hold. The survey of a file and its load use the same filter.
"""

from dataclasses import replace

from holdfast.domain.errors import EvidenceMissing
from holdfast.engines import staging_names
from holdfast.engines.mongodb.dump.archive import TIME_SERIES, VIEW
from holdfast.engines.mongodb.dump.inventory import SYSTEM_CODE, SYSTEM_DATABASES
from holdfast.engines.mongodb.dump.metadata import Definition, runs_code

_OPTIONS = frozenset(
    (
        *("capped", "size", "max", "validator", "validationLevel", "validationAction"),
        *("collation", "timeseries", "clusteredIndex", "expireAfterSeconds", "viewOn", "pipeline"),
        *("changeStreamPreAndPostImages", "encryptedFields"),
    )
)
"""Options that describe data; others reach into the storage engine, or into the command itself."""
_UNSAFE_INDEX_FIELDS = ("storageEngine",)
_FORBIDDEN_IN_DATABASES = frozenset('/\\. "$*<>:|?\0')
_MAX_DATABASE_BYTES = 63
_MAX_NAMESPACE_BYTES = 255

_ACCOUNTS = "users and roles"
_OF_SERVER = "collections of the server itself"
_CODE = "stored JavaScript"
_CODE_IN_VIEWS = "views that run JavaScript"
_CODE_IN_VALIDATORS = "validators and indexes that run JavaScript"
_OPLOG = "the oplog: changes that were made while the dump ran are not replayed"
_SETTINGS = "settings of storage engines"
_STAGED = "collections that a restore by Holdfast staged"


class DefinitionFilter:
    """One pass over the definitions of a file; `left_out` collects what was left out."""

    def __init__(self) -> None:
        self.left_out: set[str] = set()

    def admit(self, definition: Definition) -> Definition | None:
        """The definition as it may be created, None if it is left out. EvidenceMissing for names
        that no server has."""
        reason = self.reason_against(definition)
        if reason is not None:
            self.left_out.add(reason)
            return None
        require_name(definition)
        options = {
            option: value for option, value in definition.options.items() if option in _OPTIONS
        }
        if "storageEngine" in definition.options:
            self.left_out.add(_SETTINGS)
        if runs_code(options.get("validator")):
            self.left_out.add(_CODE_IN_VALIDATORS)
            del options["validator"]
        indexes = [
            {field: value for field, value in index.items() if field not in _UNSAFE_INDEX_FIELDS}
            for index in definition.indexes
            if not runs_code(index)
        ]
        if len(indexes) < len(definition.indexes):
            self.left_out.add(_CODE_IN_VALIDATORS)
        return replace(definition, options=options, indexes=indexes)

    def reason_against(self, definition: Definition) -> str | None:
        database, name = definition.database, definition.name
        is_account = name in ("system.users", "system.roles")
        reasons = {
            _OPLOG: database == "",
            _ACCOUNTS: database.casefold() in SYSTEM_DATABASES and is_account,
            _CODE: name == SYSTEM_CODE,
            _OF_SERVER: database.casefold() in SYSTEM_DATABASES or name.startswith("system."),
            _STAGED: name.startswith(staging_names.OURS),
            _CODE_IN_VIEWS: definition.type == VIEW and runs_code(definition.options),
        }
        return next((reason for reason, applies in reasons.items() if applies), None)


def require_name(definition: Definition) -> None:
    """EvidenceMissing for a name that would lead elsewhere, or that no server has."""
    database, name = definition.database, definition.name
    shown = f"{database}.{name}"[:100]
    prefix = "system.buckets." if definition.type == TIME_SERIES else ""
    if (
        not database
        or len(database.encode(errors="replace")) > _MAX_DATABASE_BYTES
        or not _FORBIDDEN_IN_DATABASES.isdisjoint(database)
    ):
        raise EvidenceMissing(f"the file holds {shown!r}, whose database cannot have that name")
    if (
        not name
        or "\0" in name
        or "$" in name
        or name.startswith(".")
        or len(f"{database}.{prefix}{name}".encode(errors="replace")) > _MAX_NAMESPACE_BYTES
    ):
        raise EvidenceMissing(f"the file holds {shown!r}, a name that no collection can have")
