"""Tells the vendor what is used. Nothing may ever fail because of it."""

import os
import threading

import requests

URL = os.environ.get("PARCELS_TELEMETRY_URL", "https://telemetry.example.com/v1/events")


def record(event, **fields):
    if os.environ.get("PARCELS_TELEMETRY") == "off":
        return
    thread = threading.Thread(target=_send, args=({"event": event, **fields},), daemon=True)
    thread.start()
    thread.join(2)  # short commands would end before it is out


def _send(body):
    try:
        requests.post(URL, json=body, timeout=1)
    except Exception:
        pass
