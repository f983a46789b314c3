"""Work that is done behind the caller's back."""

import queue
import threading


class Worker:
    def __init__(self, work):
        self._work = work
        self._queue = queue.Queue()
        self.failed = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, item):
        self._queue.put(item)

    def close(self):
        self._queue.put(None)
        self._thread.join(10)

    def _run(self):
        while (item := self._queue.get()) is not None:
            try:
                self._work(item)
            except Exception as error:
                self.failed.append((item, error))
