"""The one thread that writes to LMDB: it joins the waiting writes into one commit and one sync (group commit)."""

import asyncio
import errno
import os
import resource
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue

import lmdb
import msgspec

from orlop.clock import Clock
from orlop.store.base import Change, ChangeType, Conflict, Counts, StoreCorrupt, StoreError, StoreFull, Write
from orlop.store.lmdb_layout import Layout
from orlop.store.lmdb_sweep import sweep
from orlop.store.record import SECOND, microseconds

MAX_GROUP = 1000
"""Requests joined in one transaction, so that the first need not wait long for the last."""

SWEEP = 64
"""Records that compaction looks at in one transaction: well under a millisecond beside the writes of others."""

ROOM = 4 << 20
"""Bytes that must be free for a failed write to be a fault of the disk rather than a want of space."""

_FULL = frozenset(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


class _Commit(msgspec.Struct, gc=False):
    writes: Sequence[Write]
    future: "asyncio.Future[list[int]]"


class _Sweep(msgspec.Struct, gc=False):
    targets: Mapping[str, int]
    future: "asyncio.Future[None]"


_Answer = Callable[[list[Change], list[tuple["asyncio.Future[list[int]]", list[int] | Exception]]], None]


class Writer:
    """Owns the write transaction. `revision` and `compacted` may be read from any thread."""

    def __init__(self, env: "lmdb.Environment", layout: Layout, path: str, clock: Clock, answer: _Answer) -> None:
        """`answer` is called on the running event loop, once a transaction: what was committed, and each outcome."""
        self._env = env
        self._layout = layout
        self._path = path
        self._clock = clock
        self._answer = answer
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[list[_Commit] | _Sweep | None] = SimpleQueue()
        self._gathered: list[_Commit] = []
        self.failure = ""
        """Why nothing is written any more; empty while all is well."""
        self.counts = Counts()
        with env.begin() as txn:
            self.revision = layout.revision(txn)
            self.compacted: Mapping[str, int] = layout.compacted(txn)
            self._time = layout.last_time(txn)
        self._thread = threading.Thread(target=self._run, name="orlop-store", daemon=True)
        self._thread.start()

    def commit(self, writes: Sequence[Write]) -> "asyncio.Future[list[int]]":
        """The writes' revisions, once they are on disk."""
        future: asyncio.Future[list[int]] = self._loop.create_future()
        # What comes in one turn of the loop is handed over at its end: the thread is woken once, for all of it.
        if not self._gathered:
            self._loop.call_soon(self.hand_over)
        self._gathered.append(_Commit(writes, future))
        return future

    def hand_over(self) -> None:
        """Gives the thread what has been asked for. `stop` needs it before."""
        gathered, self._gathered = self._gathered, []
        if gathered:
            self._queue.put(gathered)

    def sweep(self, targets: Mapping[str, int]) -> "asyncio.Future[None]":
        """Compacts each resource's history to its target, slice by slice between the writes."""
        future: asyncio.Future[None] = self._loop.create_future()
        # What a reader that was killed had open would keep pages from being used again.
        self.clear_readers()
        self._queue.put(_Sweep(targets, future))
        return future

    def clear_readers(self) -> int:
        """Frees the slots of processes that ended in the middle of a read; returns how many."""
        cleared = int(self._env.reader_check())
        self.counts.stale_readers += cleared
        return cleared

    def stop(self) -> None:
        """Finishes what has been asked for and ends the thread. Blocks."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        stopping = False
        while True:
            commits: list[_Commit] = []
            sweeps: list[_Sweep] = []
            try:
                waiting = self._queue.get(block=not stopping)
                while True:
                    if waiting is None:
                        stopping = True
                    elif isinstance(waiting, _Sweep):
                        sweeps.append(waiting)
                    else:
                        commits += waiting
                    if len(commits) >= MAX_GROUP or sweeps:
                        break
                    waiting = self._queue.get_nowait()
            except Empty:
                if stopping and not commits and not sweeps:
                    return
            if commits or sweeps:
                self._transact(commits, sweeps, stopping)

    def _transact(self, commits: list[_Commit], sweeps: list[_Sweep], stopping: bool) -> None:
        changes: list[Change] = []
        outcomes: list[list[int] | Exception]
        known = len(self._layout.resources)
        swept: list[bool | StoreCorrupt] = []
        began = self._clock.monotonic()
        time = max(self._time, microseconds(self._clock.now()))
        compacted = self.compacted
        try:
            if self.failure:
                raise StoreError(self.failure)
            with self._env.begin(write=True) as txn:
                outcomes = [self._try(txn, commit.writes, changes, time) for commit in commits]
                if changes:
                    self._layout.finish(txn, changes[-1].revision, time)
                if sweeps:
                    swept = [self._sweep(txn, one) for one in sweeps]
                    compacted = self._layout.compacted(txn)
        except Exception as error:  # whatever it is, every caller must hear of it
            self._layout.forget_resources(known)
            changes = []
            failure = self._explain(error)
            outcomes = [failure] * len(commits)
            for one in sweeps:
                self._on_loop(_fail, one.future, failure)
        else:
            if changes:
                self.revision = changes[-1].revision
                self._time = time
            self.compacted = compacted
            for one, done in zip(sweeps, swept, strict=True):
                if isinstance(done, StoreCorrupt):
                    self._on_loop(_fail, one.future, done)
                elif done or stopping:  # what is left is swept after the next start
                    self._on_loop(_done, one.future)
                else:
                    self._queue.put(one)
        self._count(changes, outcomes, self._clock.monotonic() - began)
        if commits:
            futures = [commit.future for commit in commits]
            self._on_loop(self._answer, changes, list(zip(futures, outcomes, strict=True)))

    def _count(self, changes: list[Change], outcomes: Sequence[list[int] | Exception], seconds: float) -> None:
        counts = self.counts
        counts.transactions += 1
        counts.seconds += seconds
        counts.writes += len(changes)
        for outcome in outcomes:
            if type(outcome) is not list:
                counts.conflicts += isinstance(outcome, Conflict)
                counts.full += isinstance(outcome, StoreFull)
                counts.failed += not isinstance(outcome, Conflict | StoreFull)

    def _try(
        self, txn: "lmdb.Transaction", writes: Sequence[Write], changes: list[Change], time: int
    ) -> list[int] | Exception:
        """Applies one request, wholly or not at all. Raises what ends the transaction for all."""
        revision = changes[-1].revision if changes else self.revision
        seconds = time / SECOND
        layout = self._layout
        prepared = []
        try:
            for write in writes:
                index = layout.locate(write.key)
                actual = layout.actual(txn, index)
                if (write.expected is not None and write.expected != actual) or (write.delete and not actual):
                    return Conflict(write.key, actual)
                revision += 1
                kind: ChangeType = "DELETED" if write.delete else "MODIFIED" if actual else "ADDED"
                value = write.parts.at(revision)
                change = Change(revision, write.key, kind, value, actual, seconds, write.by)
                prepared.append(layout.prepare(txn, change, index))
        except lmdb.Error:
            raise
        except Exception as error:  # of this request alone: the others must not suffer from it
            return error
        for one in prepared:
            layout.put(txn, one)
            changes.append(one.change)
        return [one.change.revision for one in prepared]

    def _sweep(self, txn: "lmdb.Transaction", one: _Sweep) -> bool | StoreCorrupt:
        """One slice. A damaged record stops the compaction there, not the writes beside it."""
        try:
            looked, done = sweep(self._layout, txn, one.targets, SWEEP)
        except StoreCorrupt as error:
            return error
        self.counts.compacted += looked
        return done

    def _explain(self, error: Exception) -> StoreError:
        """What a failed transaction means. Nothing of it was written; whether the next may succeed depends."""
        if isinstance(error, StoreError):
            return error
        if not isinstance(error, lmdb.Error | OSError):
            return StoreError(f"a commit to the store in {self._path} failed: {error!r}")
        if isinstance(error, lmdb.MapFullError) or any(text in str(error) for text in _FULL) or self._cramped():
            return StoreFull(f"the store in {self._path} has no room: free space on its disk ({error})")
        # After a failed sync the kernel may have dropped what it could not write: nothing later can be trusted to
        # reach the disk. Reads go on.
        self.failure = (
            f"the store in {self._path} takes no more writes until it is opened again: a commit failed ({error})"
        )
        return StoreError(self.failure)

    def _cramped(self) -> bool:
        """LMDB reports a write that was cut short by a full disk as an input/output error."""
        try:
            disk = os.statvfs(self._path)
            size = os.path.getsize(os.path.join(self._path, "data.mdb"))
        except OSError:
            return False  # the folder is gone: that is no want of space
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        return disk.f_bavail * disk.f_frsize < ROOM or (limit != resource.RLIM_INFINITY and size + ROOM > limit)

    def _on_loop(self, call: Callable[..., None], *args: object) -> None:
        with suppress(RuntimeError):  # the loop has been closed: nobody waits
            self._loop.call_soon_threadsafe(call, *args)


def _fail(future: "asyncio.Future[None]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _done(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
