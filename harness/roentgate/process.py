"""How a process of the harness uses its machine: threads of linear algebra, and freed memory."""

import contextlib
import ctypes
import os


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
