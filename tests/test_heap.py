"""Memory that was freed in small pieces goes back to the system."""

import subprocess
import sys
import textwrap

import pytest

PIECES = """
    import ctypes, re
    from davegan_tf.heap import release_free_memory

    def resident():
        with open("/proc/self/status") as status:
            return int(re.search(r"RssAnon:\\s+(\\d+) kB", status.read()).group(1)) / 1024

    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    pieces = [libc.malloc(ctypes.c_size_t(60_000)) for _ in range(2000)]
    for piece in pieces:
        ctypes.memset(piece, 1, 60_000)
    for index, piece in enumerate(pieces):
        if index % 20 != 19:  # what stays keeps the heap from shrinking by itself
            libc.free(piece)
    before = resident()
    release_free_memory()
    print(before, resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be asked for it")
def test_freed_pieces_are_given_back():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PIECES)], capture_output=True, text=True, check=True
    )
    before, after = map(float, done.stdout.split())
    assert before > 110
    assert after < before - 80
