"""What the C library keeps of freed memory, given back to the system."""

import ctypes
import gc
import sys


def release_free_memory() -> None:
    """Give back what is free, where the C library can (glibc); elsewhere nothing happens.

    Much of what XLA needs to compile a training step is freed in so many small pieces that the C library would keep
    it: the process would hold it to its end, and have less room to compile the next program.
    """
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
