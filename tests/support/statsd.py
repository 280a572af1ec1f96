"""A StatsD server that keeps what it hears of Klaviyo."""

from __future__ import annotations

import socket
import threading
import time

QUIET_SECONDS = 0.2


class StatsD:
    """Listens to metrics on a UDP port of the loopback, all the time: a full buffer drops what is newest."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(QUIET_SECONDS)
        self._lines: list[str] = []
        self._closed = threading.Event()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                lines = self._socket.recv(65536).decode().splitlines()
            except TimeoutError:
                continue
            names = [line.removeprefix("airflow.") for line in lines]
            self._lines += [name for name in names if name.startswith("klaviyo.")]

    def settings(self) -> dict[str, str]:
        """Return the environment that makes an Airflow send its metrics here, with tags."""
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_PORT": str(self._socket.getsockname()[1]),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        }

    def heard(self) -> list[str]:
        """Return the provider's metrics since the last call, once none has come for a moment."""
        count = -1
        while count != len(self._lines):
            count = len(self._lines)
            time.sleep(2 * QUIET_SECONDS)
        heard, self._lines = self._lines, []
        return heard

    def close(self) -> None:
        """Stop to listen."""
        self._closed.set()
        self._listener.join()
        self._socket.close()
