"""Tables of snapshot repositories, one for each addon at each destination, and of their keys."""

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from holdfast.catalog.schema.base import BigKey, Document, Table


class MasterKey(Table):
    """One row: `proof` is a known word, sealed with the key that seals all secrets here."""

    __tablename__ = "master_keys"
    pk: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    proof: Mapped[str]


class Recovery(Table):
    """The owner's own passphrase for all repositories at a destination, future ones included."""

    __tablename__ = "recoveries"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    destination_pk: Mapped[int | None] = mapped_column(ForeignKey("destinations.pk"), index=True)
    sealed_passphrase: Mapped[str]
    created: Mapped[int]
    __table_args__ = ({"sqlite_autoincrement": True},)


class Repository(Table):
    """`sealed_password` opens it, with the stock tool as well. `destination_pk` None: the platform
    store. `tidy_due` is when it is pruned next, `tidied` when it was last. Reading of its packs has
    come to the point `read_upto` of the circle at `read_at`; `read_marks` are the last stretches,
    [length, when], that make up one round; `spoiled` maps packs that are not what was written to
    the problem. `doomed` are packs that a prune is about to remove: no new snapshot may rely on
    them. `sealed_key` is the repository's own master key and its config, to repair damaged ones."""

    __tablename__ = "repositories"
    pk: Mapped[int] = mapped_column(BigKey, primary_key=True)
    addon_pk: Mapped[int] = mapped_column(ForeignKey("addons.pk"))
    destination_pk: Mapped[int | None] = mapped_column(ForeignKey("destinations.pk"))
    prefix: Mapped[str]
    sealed_password: Mapped[str]
    created: Mapped[int]
    tidy_due: Mapped[int | None]
    tidied: Mapped[int | None]
    read_upto: Mapped[int] = mapped_column(default=0)
    read_at: Mapped[int | None]
    spoiled: Mapped[Document | None]
    doomed: Mapped[list[str] | None]
    sealed_key: Mapped[str | None]
    read_marks: Mapped[list[list[int]] | None]
    __table_args__ = (
        Index("repositories_of_addon", "addon_pk", "destination_pk", unique=True),
        Index(
            "repositories_at_platform",
            "addon_pk",
            unique=True,
            sqlite_where=text("destination_pk IS NULL"),
            postgresql_where=text("destination_pk IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )
