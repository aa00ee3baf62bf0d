"""Settings of a process: threads and freed memory."""

import contextlib
import ctypes
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_READERS = 4


def one_thread() -> None:
    """Limit NumPy's linear algebra to one thread.

    It has no effect if NumPy is already loaded. The products here are small: more threads take up to 60 times as long
    on a busy machine, and they change the last bits of the result.
    """
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def keep_freed_memory() -> None:
    """Let glibc keep freed memory instead of returning it.

    TensorFlow lowers the trim threshold to 128 KiB if a generator feeds it. Undoing that made an epoch of the baseline
    a third faster on two cores. Without glibc this does nothing.
    """
    trim_threshold, mmap_threshold = -1, -3
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(trim_threshold, 1 << 29)
        libc.mallopt(mmap_threshold, 1 << 25)


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield ``work(item)`` for each item in order, computed in threads.

    At most nine items are started and not yet yielded, so that memory does not grow with their number.

    Args:
        work: A function that is safe to call from several threads at once.
        items: Taken one by one, as results are asked for.

    Raises:
        Exception: What ``work`` raises for the first item, in order, that fails.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(min(_READERS, os.cpu_count() or 1)) as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * _READERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
