"""The tables, as SQLAlchemy Core. Migrations make them; a test compares the two."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

INSTANCES = Table(
    "instances",
    METADATA,
    Column("sop_instance_uid", String(64), primary_key=True),
    Column("sop_class_uid", String(64), nullable=False),
    Column("study_instance_uid", String(64), nullable=False),
    Column("series_instance_uid", String(64), nullable=False),
    Column("file_name", String(255), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
)

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("entry_id", Integer, primary_key=True, autoincrement=True),
    Column("peer", String(64), nullable=False),
    Column("sop_instance_uid", String(64), nullable=False),
    Column("file_name", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("queued_at", String(32), nullable=False),
    Column("next_try_at", String(32), nullable=False),
    Column("settled_at", String(32), nullable=True),
    Column("peer_status", Integer, nullable=True),
    Column("peer_comment", Text, nullable=False, default=""),
    UniqueConstraint("peer", "sop_instance_uid"),
    Index(None, "state", "next_try_at"),
)

OUTBOX_HISTORY = Table(
    "outbox_history",
    METADATA,
    Column("sequence", Integer, primary_key=True, autoincrement=True),
    Column("entry_id", Integer, nullable=False),
    Column("at", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("peer_status", Integer, nullable=True),
    Column("peer_comment", Text, nullable=False, default=""),
    Index(None, "entry_id"),
)

JOURNAL = Table(
    "journal",
    METADATA,
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
    Column("event", String(128), nullable=False),
    Column("user", String(64), nullable=False),
    Column("facts", Text, nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
