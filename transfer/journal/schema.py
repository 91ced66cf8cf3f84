"""The tables of the journal and how they came to be, one migration after the other. Values alone.

A migration that has been released is never edited: a change of the tables is a new one at the end. Text is kept as
BLOB in UTF-8, since names of files may hold what no TEXT may.
"""

from __future__ import annotations

from typing import Final

_FIRST: Final = (
    """
    CREATE TABLE runs(
      id BLOB PRIMARY KEY, process_id INT, since_seconds REAL, crc INT
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE jobs(
      id INTEGER PRIMARY KEY AUTOINCREMENT, signature BLOB UNIQUE, description BLOB, began_seconds REAL,
      touched_seconds REAL, finished_items INT, finished_bytes INT, run_id BLOB, crc INT
    )
    """,
    """
    CREATE TABLE items(
      id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB UNIQUE, job_id INT, run_id BLOB, generation INT, direction BLOB,
      endpoint BLOB, source BLOB, destination BLOB, fingerprint BLOB, size INT, upload_id BLOB, temporary BLOB,
      began_seconds REAL, crc INT
    )
    """,
    "CREATE INDEX items_of_job ON items(job_id)",
    """
    CREATE TABLE parts(
      item_id INT, number INT, generation INT, offset INT, length INT, value BLOB, etag BLOB, crc INT,
      PRIMARY KEY(item_id, number)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE finished(
      job_id INT, name BLOB, fingerprint BLOB, size INT, crc INT, PRIMARY KEY(job_id, name)
    ) WITHOUT ROWID
    """,
)

MIGRATIONS: Final = (_FIRST,)
"""The statements of each step, in order; `PRAGMA user_version` says how many steps a file has behind it."""

VERSION: Final = len(MIGRATIONS)
