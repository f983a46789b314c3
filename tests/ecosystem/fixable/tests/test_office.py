"""Mail, telemetry, threads and the command line."""

import subprocess
import sys

import requests

from harbour import office
from harbour.office import main, weight


def test_notify():
    office.notify("ada@example.com", "hello")
    assert "ada@example.com" in office.sent


def test_notify_securely():
    office.notify_securely("ada@example.com")


def test_count():
    assert office.count("login") == "login"


def test_labels():
    assert office.labels([7, 8]) == ["HAM-7", "HAM-7"]


def test_watcher():
    watcher = office.Watcher("ever-given")
    watcher.start()
    watcher.join()
    assert watcher.found == "at sea"


def test_weight():
    assert weight(7) == "2.5 kg"


def test_quote():
    assert office.quote(7, 10, "USD") == "Ada: 12.5 USD"


def test_main(capsys):
    assert main(["10", "USD"]) == 0
    assert capsys.readouterr().out == "12.50 USD\n"


def test_command_line():
    command = [sys.executable, "-m", "harbour.office", "10", "USD"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout == "12.50 USD\n"


def test_the_service_itself():
    assert requests.get("https://rates.example.com/health", timeout=5).status_code == 200
