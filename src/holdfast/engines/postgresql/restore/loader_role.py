"""The role that loads what an owner or a stranger may have shaped: it has few rights."""

from psycopg.sql import SQL, Identifier, Literal

from holdfast.contracts.engine import Attempt
from holdfast.engines.postgresql.client.address import Address, connect
from holdfast.engines.staging_names import short_hash
from holdfast.kit.seal import Secret


def loader_name(attempt: Attempt) -> str:
    return f"holdfast_load_{short_hash(attempt.op)}"


def creation_statement(address: Address, loader: str, password: Secret) -> str:
    """CREATE ROLE for the loader.

    The server gets a verifier: its log must not contain the password. BYPASSRLS lets it count rows.
    """
    with connect(address) as session:
        verifier = session.pgconn.encrypt_password(
            password.reveal().encode(), loader.encode(), b"scram-sha-256"
        )
        statement = SQL("CREATE ROLE {} LOGIN BYPASSRLS PASSWORD {}").format(
            Identifier(loader), Literal(verifier.decode())
        )
        return statement.as_string(session)
