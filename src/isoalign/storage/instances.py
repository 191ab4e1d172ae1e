"""The index of DICOM objects on disk."""

from __future__ import annotations

from sqlalchemy import Engine, insert, select

from isoalign.storage.engine import writing
from isoalign.storage.tables import INSTANCES


class Instances:
    """Which instances are on disk, where, and with which digest."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add_instance(
        self,
        *,
        sop_instance_uid: str,
        sop_class_uid: str,
        study_instance_uid: str,
        series_instance_uid: str,
        file_name: str,
        sha256: str,
        size_bytes: int,
    ) -> None:
        """Remember an instance; adding the same one again changes nothing."""
        with writing(self._engine) as connection:
            known = connection.execute(
                select(INSTANCES.c.sha256).where(INSTANCES.c.sop_instance_uid == sop_instance_uid)
            ).first()
            if known is None:
                connection.execute(
                    insert(INSTANCES).values(
                        sop_instance_uid=sop_instance_uid,
                        sop_class_uid=sop_class_uid,
                        study_instance_uid=study_instance_uid,
                        series_instance_uid=series_instance_uid,
                        file_name=file_name,
                        sha256=sha256,
                        size_bytes=size_bytes,
                    )
                )

    def has_instance(self, sop_instance_uid: str) -> bool:
        """Whether the instance is known."""
        with self._engine.connect() as connection:
            query = select(INSTANCES.c.sop_instance_uid).where(INSTANCES.c.sop_instance_uid == sop_instance_uid)
            return connection.execute(query).first() is not None

    def digests(self) -> dict[str, str]:
        """SOP Instance UID to SHA-256 of the file, for checking the store."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(INSTANCES.c.sop_instance_uid, INSTANCES.c.sha256))
            return {row.sop_instance_uid: row.sha256 for row in rows}
