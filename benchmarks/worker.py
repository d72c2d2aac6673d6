"""A process that prepares one contender and works on demand: ``python -m benchmarks.worker NAME OPTIONS``.

OPTIONS is JSON. On stdout it writes one JSON object a line: first ``{"ready": …}`` with the seconds of its
preparation, then one for every line on stdin, ``go COUNT`` or ``go COUNT VARIANT``, with the seconds that took. When
stdin ends – because its parent has closed it, or has died – it exits at once.
"""

import json
import os
import queue
import resource
import signal
import sys
import threading
import time


def main(name, options):
    # Whatever a library prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # Ctrl-C reaches the whole group of processes; the parent ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def answer(**values):
        print(json.dumps({**values, "peak_mb": peak_memory()}), file=answers, flush=True)

    orders = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    from benchmarks.contenders import make

    started = time.perf_counter()
    contender = make(name, options)
    answer(ready=contender.about, seconds=time.perf_counter() - started)
    while True:
        _, count, *variant = orders.get().split()
        started = time.perf_counter()
        contender.go(int(count), *variant)
        answer(seconds=time.perf_counter() - started)


def peak_memory():
    """Largest memory this process has held so far, in MB (10⁶ bytes)."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            line = next(line for line in status if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    except (OSError, StopIteration):
        # Elsewhere: in kB, in bytes on macOS. On Linux this would count the parent at the time of its fork.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def _listen(orders):
    """Read stdin in the background, to notice its end during the work as well."""
    for line in sys.stdin:
        orders.put(line)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
