"""The store on one machine's disk: LMDB."""

import asyncio
import contextlib
import errno
import glob
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

import lmdb

from orlop.clock import Clock
from orlop.store import lmdb_figures as figures
from orlop.store.base import (
    Batch,
    Change,
    FutureRevision,
    Gauges,
    Key,
    Record,
    Stats,
    StoreClosed,
    StoreCorrupt,
    StoreError,
    StoreFormat,
    StoreFull,
    StoreLocked,
    Write,
)
from orlop.store.broadcast import Broadcast
from orlop.store.keys import check, check_transaction
from orlop.store.lmdb_files import DATA, MAP_SIZE, environment, lock, sync_folder, whole
from orlop.store.lmdb_layout import Layout
from orlop.store.lmdb_readers import lag, readers
from orlop.store.lmdb_writer import Writer
from orlop.store.record import microseconds

T = TypeVar("T")

SHORT_RANGE = 50
"""Objects read on the event loop (some 5 µs each); longer ranges are read in a thread."""

READ_SLICE = 1000
"""Changes that one step of a lagging follower takes from the log."""

READ_THREADS = 2


class LmdbStore:
    """Every version in one file, `data.mdb` in the folder `path`, which only its owner may read (it holds Secrets).

    One thread writes; reads are of snapshots and wait for nobody. LMDB runs without WRITEMAP, so that a full disk is
    an error and not a crash.
    """

    def __init__(self, path: str, clock: Clock, *, map_size: int = MAP_SIZE, sync: bool = True) -> None:
        """`sync=False` gives up durability, for tests of tests and for what can be lost."""
        self._path = os.path.abspath(path)
        self._clock = clock
        self._map_size = map_size
        self._sync = sync
        self._lock: int | None = None
        self._env: lmdb.Environment | None = None
        self._opened: tuple[Layout, Writer] | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._broadcast = Broadcast(self._changes_after)

    async def open(self) -> None:
        if self._env is not None:
            raise StoreLocked(f"the store in {self._path} is open already")
        self._threads = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="orlop-store-read")
        try:
            layout = await self._in_thread(self._open)
        except BaseException:
            self._let_go()
            raise
        assert self._env is not None
        self._broadcast = Broadcast(self._changes_after)
        self._opened = layout, Writer(self._env, layout, self._path, self._clock, self._answered)

    def _open(self) -> Layout:
        try:
            fresh = not os.path.exists(os.path.join(self._path, DATA))
            os.makedirs(self._path, mode=0o700, exist_ok=True)
            self._lock = lock(self._path)
            if fresh:
                self._make()
            self._env = environment(self._path, map_size=self._map_size, sync=self._sync, max_spare_txns=8)
            self._env.reader_check()  # slots of processes that were killed
            with self._env.begin() as txn:
                strange = txn.stat()["entries"] > 0 and txn.get(b"meta") is None
            if strange:
                raise StoreFormat(f"{self._path} holds an LMDB environment that is not orlop's: choose another folder")
            with self._env.begin(write=True) as txn:
                layout = Layout(self._env, txn, self._path, self._clock.uuid())
            if fresh:
                sync_folder(self._path)
                sync_folder(os.path.dirname(self._path))
        except (lmdb.InvalidError, lmdb.VersionMismatchError, lmdb.CorruptedError, lmdb.PageNotFoundError) as error:
            raise StoreFormat(
                f"{self._path}/data.mdb is not a store that can be read ({error}): restore a backup, or choose "
                f"another folder"
            ) from error
        except (lmdb.Error, OSError) as error:
            if os.strerror(errno.ENOSPC) in str(error):
                raise StoreFull(f"cannot make a store in {self._path}: free space on its disk ({error})") from error
            raise StoreError(f"cannot open the store in {self._path}: {error}") from error
        return layout

    def _make(self) -> None:
        """A new file takes its place when it is on disk: LMDB does not sync its first pages before they are used, and
        a power cut would leave a file that is none."""
        for left in glob.glob(os.path.join(glob.escape(self._path), "new-*")):  # of a start that was killed
            shutil.rmtree(left, ignore_errors=True)
        half = tempfile.mkdtemp(prefix="new-", dir=self._path)
        try:
            with environment(half, map_size=self._map_size, sync=self._sync) as env, env.begin(write=True) as txn:
                Layout(env, txn, self._path, self._clock.uuid())
            os.replace(os.path.join(half, DATA), os.path.join(self._path, DATA))
        finally:
            shutil.rmtree(half, ignore_errors=True)

    async def close(self) -> None:
        if self._opened is None:
            return
        _, writer = self._opened
        self._opened = None
        writer.hand_over()
        await self._in_thread(writer.stop)
        # The writer's last answers are on the loop's queue by now: let them go out before followers hear of the end.
        done = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(done.set_result, None)
        await done
        self._broadcast.end(StoreClosed(f"the store in {self._path} is closed"))
        if self._threads is not None:
            await asyncio.to_thread(self._threads.shutdown)  # readers still hold the file
        self._let_go()

    def _let_go(self) -> None:
        if self._env is not None:
            self._env.close()
            self._env = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self._threads is not None:
            self._threads.shutdown(wait=False)
            self._threads = None

    @property
    def uid(self) -> str:
        return self._layout.uid

    @property
    def revision(self) -> int:
        return self._writer.revision

    @property
    def compacted(self) -> int:
        return max(self._writer.compacted.values(), default=0)

    def compacted_of(self, resource: str) -> int:
        return self._writer.compacted.get(resource, 0)

    @property
    def failure(self) -> str:
        return self._opened[1].failure if self._opened is not None else ""

    @property
    def resources(self) -> list[str]:
        return self._layout.resources[:]

    async def commit(self, write: Write) -> int:
        check(write.key)
        return (await self._writer.commit((write,)))[0]

    async def commit_all(self, writes: Sequence[Write]) -> list[int]:
        check_transaction(writes)
        return await self._writer.commit(writes)

    def _answered(
        self, changes: list[Change], outcomes: list[tuple["asyncio.Future[list[int]]", list[int] | Exception]]
    ) -> None:
        # Followers first: asyncio runs them before the callers whose futures are resolved after.
        if changes:
            self._broadcast.publish(Batch(changes[-1].revision, changes))
        for future, outcome in outcomes:
            if future.done():
                pass  # its caller was cancelled
            elif isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

    async def get(self, key: Key, revision: int | None = None) -> Record | None:
        layout = self._layout
        with self._reading() as txn:
            return layout.get(txn, key, layout.snapshot(txn, key.resource, revision))

    async def range(
        self,
        resource: str | None,
        namespace: str | None = None,
        *,
        after: Key | None = None,
        limit: int | None = None,
        revision: int | None = None,
    ) -> tuple[list[Record], bool]:
        def read() -> tuple[list[Record], bool]:
            layout = self._layout
            with self._reading() as txn:
                at = layout.snapshot(txn, resource, revision)
                found = layout.range(txn, resource, namespace, after, at)
                records = list(islice(found, limit))
                return records, limit is not None and next(found, None) is not None

        return read() if limit is not None and limit <= SHORT_RANGE else await self._in_thread(read)

    def changes(self, since: int) -> AsyncIterator[Batch]:
        return self._broadcast.follow(since)

    async def _changes_after(self, since: int) -> Batch | None:
        def read() -> Batch | None:
            with self._reading() as txn:
                found = self._layout.changes(txn, since, READ_SLICE)
                return Batch(found[-1].revision, found) if found else None

        return await self._in_thread(read) if since < self.revision else None

    async def compact(self, revision: int, resource: str | None = None) -> None:
        await self.compact_each(dict.fromkeys(self.resources if resource is None else [resource], revision))

    async def compact_each(self, targets: Mapping[str, int]) -> None:
        newest = max(targets.values(), default=0)
        if newest > self.revision:
            raise FutureRevision(newest, self.revision)
        await self._writer.sweep(targets)

    async def revision_at(self, time: float) -> int:
        def read() -> int:
            with self._reading() as txn:
                return self._layout.revision_at(txn, microseconds(time))

        return await self._in_thread(read)

    async def revision_back(self, resource: str, changes: int, size: int | None = None) -> int:
        def read() -> int:
            with self._reading(buffers=True) as txn:
                return self._layout.revision_back(txn, resource, changes, size)

        return await self._in_thread(read)

    async def snapshot(self, path: str) -> None:
        env = self._environment

        def copy() -> None:
            with whole(path) as half:
                env.copy(half, compact=True)

        await asyncio.to_thread(copy)

    async def stats(self) -> Stats:
        def read() -> Stats:
            layout = self._layout
            with self._reading() as txn:
                revision, compacted = layout.revision(txn), max(layout.compacted(txn).values(), default=0)
                objects, records = figures.objects(layout, txn), figures.versions(layout, txn)
                size, free = figures.sizes(layout, self._environment, txn)
            return Stats(revision, compacted, objects, records, size, free)

        return await self._in_thread(read)

    def gauges(self) -> Gauges:
        env, writer = self._environment, self._writer
        with self._reading() as txn:
            size, free = figures.sizes(self._layout, env, txn)
            records = figures.records(self._layout, txn)
            reading = readers(env)
        disk = os.statvfs(self._path)
        return Gauges(
            writer.revision,
            self.compacted,
            records,
            size,
            free,
            disk.f_bavail * disk.f_frsize,
            len(reading) - 1,  # not this one
            lag(env, reading),
            writer.counts,
        )

    @contextlib.contextmanager
    def _reading(self, buffers: bool = False) -> Iterator["lmdb.Transaction"]:
        """A snapshot to read from."""
        try:
            with self._begin(buffers) as txn:
                yield txn
        except lmdb.PanicError as error:
            raise StoreError(f"the store in {self._path} cannot be read until it is opened again: {error}") from error
        except (lmdb.CorruptedError, lmdb.PageNotFoundError) as error:
            raise StoreCorrupt(f"the store in {self._path} is damaged: {error}") from error

    def _begin(self, buffers: bool) -> Any:
        env = self._environment
        try:
            return env.begin(buffers=True) if buffers else env.begin()
        except lmdb.ReadersFullError:
            if not self._writer.clear_readers():
                raise StoreError(f"too many processes read the store in {self._path} at once") from None
            return env.begin()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._threads is None:
            raise self._closed()
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    @property
    def _environment(self) -> "lmdb.Environment":
        if self._env is None or self._opened is None:
            raise self._closed()
        return self._env

    @property
    def _layout(self) -> Layout:
        if self._opened is None:
            raise self._closed()
        return self._opened[0]

    @property
    def _writer(self) -> Writer:
        if self._opened is None:
            raise self._closed()
        return self._opened[1]

    def _closed(self) -> StoreClosed:
        return StoreClosed(f"the store in {self._path} is not open")
