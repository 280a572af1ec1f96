"""The file in which one run leaves for the next what it has imported.

It has no address in it: of each profile 16 bytes that stand for its key, and 8 for its content, after one line of
JSON. What was posted, and may not have been imported yet, stands apart from the rest: it counts only once the run that
posted it has seen that it was.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain, islice
from tempfile import TemporaryFile
from typing import IO, cast

import msgspec

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.audiences.keys import CONTENT_BYTES, KEY_BYTES
from airflow_provider_klaviyo.storage import replacing, storage

Record = tuple[bytes, bytes]
"""A key and a digest of content."""

_SIZE = KEY_BYTES + CONTENT_BYTES
_AT_ONCE = 10_000


class Place(msgspec.Struct, frozen=True):
    """Where profiles were imported.

    :param account: id of the account.
    :param lists: ids of the lists that they were put on, in order.
    """

    account: str
    lists: list[str]


class _Head(msgspec.Struct, kw_only=True):
    """The first line.

    :param place: where the profiles were imported.
    :param run: what the run is recognised by that wrote the file.
    :param imported: how many records there are of profiles that were imported.
    :param posted: how many there are, after those, of profiles that this run has posted.
    """

    klaviyo_import_state: int
    place: Place
    run: str
    imported: int
    posted: int = 0


class StateFile:
    """What earlier runs have imported, and what this one is about to.

    :param path: as ``ObjectStoragePath`` takes it.
    :param log: writes a line to the task's log.
    """

    def __init__(self, path: str, log: Callable[..., None]) -> None:
        self._path = path
        self._log = log

    def imported(self, place: Place) -> Iterator[Record]:
        """What was imported there by the run that wrote the file; nothing if there is none, or it is of another place.

        :raises KlaviyoValidationError: there is another file.
        """
        with TemporaryFile() as copy:
            head = self._copy(copy)
            if head is None:
                self._log("There is no state at %s yet, or it is not whole: all rows are imported.", self._path)
            elif head.place != place:
                self._log("The state at %s is of another account or other lists: all rows are imported.", self._path)
            else:
                yield from _records(copy, 0, head.imported)

    def write(self, run: str, place: Place, imported: Iterable[Record], posted: Iterable[Record] = ()) -> None:
        """Write the file anew.

        :param run: what this run is recognised by.
        :param imported: what is in Klaviyo as it is in the rows.
        :param posted: what was posted, and may not be in Klaviyo yet.
        :raises KlaviyoValidationError: it cannot be written.
        """
        with TemporaryFile() as body:
            counts = [_copy_records(records, body) for records in (imported, posted)]
            head = _Head(klaviyo_import_state=1, place=place, run=run, imported=counts[0], posted=counts[1])
            body.seek(0)
            try:
                with replacing(storage(self._path), "wb") as file:
                    file.write(msgspec.json.encode(head) + b"\n")
                    while part := body.read(_SIZE * _AT_ONCE):
                        file.write(part)
            except OSError as error:
                raise KlaviyoValidationError(
                    f"state_path is {self._path!r}, which cannot be written: {error}.", pointer="state_path"
                ) from error

    def confirm(self, run: str, refused: Collection[bytes]) -> None:
        """What this run has posted was imported, but for some.

        Where that is not certain, the file is left as it is, and the next run imports again what this one has posted.

        :param refused: keys of the profiles that were not imported.
        """
        with TemporaryFile() as copy:
            head = self._copy(copy)
            if head is None or head.run != run:
                self._log(
                    "Another run has written the state at %s since: the next one imports again what this one has "
                    "posted. Set max_active_runs=1 in the DAG.",
                    self._path,
                )
                return
            if not head.posted:
                return
            before = _records(copy, 0, head.imported)
            now = (record for record in _records(copy, head.imported, head.posted) if record[0] not in refused)
            if head.posted - sum(1 for _ in now) != len(refused):
                self._log("Klaviyo does not name all rows that it refused: the next run imports all of this one again.")
                return
            now = (record for record in _records(copy, head.imported, head.posted) if record[0] not in refused)
            self.write(run, head.place, chain(before, now))

    def _copy(self, copy: IO[bytes]) -> _Head | None:
        """Copy the records to another file; ``None``: there are none, or they are not whole."""
        try:
            with cast("IO[bytes]", storage(self._path).open("rb")) as file:
                first = file.readline(100_000)
                while part := file.read(_SIZE * _AT_ONCE):
                    copy.write(part)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KlaviyoValidationError(
                f"state_path is {self._path!r}, which cannot be read: {error}.", pointer="state_path"
            ) from error
        if not first:
            return None
        try:
            head = msgspec.json.decode(first, type=_Head)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise KlaviyoValidationError(
                f"state_path is {self._path!r}, where there is a file that this operator has not written. It was left "
                f"as it is. Give another path.",
                pointer="state_path",
            ) from None
        if copy.tell() != _SIZE * (head.imported + head.posted):
            return None
        return head


def _records(file: IO[bytes], first: int, count: int) -> Iterator[Record]:
    for start in range(first, first + count, _AT_ONCE):
        file.seek(_SIZE * start)
        part = file.read(_SIZE * min(_AT_ONCE, first + count - start))
        for at in range(0, len(part), _SIZE):
            yield part[at : at + KEY_BYTES], part[at + KEY_BYTES : at + _SIZE]


def _copy_records(records: Iterable[Record], file: IO[bytes]) -> int:
    count = 0
    left = iter(records)
    while part := list(islice(left, _AT_ONCE)):
        file.write(b"".join(map(b"".join, part)))
        count += len(part)
    return count
