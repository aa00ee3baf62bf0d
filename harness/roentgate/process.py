"""How a process uses its machine: threads, and freed memory."""

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
    """Let NumPy's linear algebra run on one thread, if NumPy is not loaded yet.

    The products here are small: more threads cost up to 60 times as much on a busy machine, and change last bits.
    """
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def keep_freed_memory() -> None:
    """Let glibc keep freed memory instead of handing it back to the system after every batch.

    TensorFlow lowers the trim threshold to 128 KiB wherever a generator feeds it; undoing that made an epoch of the
    baseline a third faster on two cores. Elsewhere than on glibc this does nothing.
    """
    trim_threshold, mmap_threshold = -1, -3
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(trim_threshold, 1 << 29)
        libc.mallopt(mmap_threshold, 1 << 25)


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield ``work(item)`` of each item in order, computed in a few threads.

    At most nine items are begun and not yet yielded, so that memory does not grow with their number.

    Args:
        work: Reads a file, say; it must be safe to call from several threads at once.
        items: Taken one by one, as results are asked for.

    Raises:
        Exception: What ``work`` raises, of the first item in order at fault.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(min(_READERS, os.cpu_count() or 1)) as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * _READERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
