"""A line between a browser and a web service that can be cut and mended."""

import socket
import threading
from urllib.parse import urlsplit


class Line:
    """Listens on a free port of this machine and passes everything on. Use as a context manager."""

    def __init__(self, target):
        parts = urlsplit(target)
        self.target = (parts.hostname, parts.port or 80)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.lock = threading.Lock()
        self.ends = set()
        self.whole = True

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.cut()

    def cut(self):
        """Ends every connection, and each new one at once, until `mend()`."""
        with self.lock:
            self.whole = False
            for end in self.ends:
                shut(end)

    def mend(self):
        self.whole = True

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.connect, args=(near,), daemon=True).start()

    def connect(self, near):
        try:
            far = socket.create_connection(self.target)
        except OSError:
            near.close()
            return
        with self.lock:
            self.ends |= {near, far}
            if not self.whole:
                shut(near)
                shut(far)
        threading.Thread(target=self.carry, args=(far, near), daemon=True).start()
        self.carry(near, far)

    def carry(self, source, target):
        try:
            while data := source.recv(65_536):
                target.sendall(data)
        except OSError:
            pass
        shut(source)
        shut(target)
        with self.lock:
            self.ends -= {source, target}


def shut(end):
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
