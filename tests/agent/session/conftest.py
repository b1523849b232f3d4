"""Buses are listened to on Linux alone, and jeepney is there on no other system."""

from __future__ import annotations

import sys

if sys.platform != "linux":
    collect_ignore_glob = ["test_*"]
