"""An orderly end on Ctrl-C and on SIGTERM."""

import signal
import threading


class StopSignal:
    """SIGINT and SIGTERM ask for an orderly end; a second one ends at once."""

    received = None

    def __enter__(self):
        self.former = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.former[number] = signal.signal(number, self._receive)
        return self

    def _receive(self, number, frame):
        self.received = number
        for each, handler in self.former.items():
            signal.signal(each, handler)

    def __exit__(self, *_):
        for number, handler in self.former.items():
            signal.signal(number, handler)
