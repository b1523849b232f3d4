"""What tests share: `from support.home import Home`. Fixtures for all are in tests/conftest.py.

- `home`, `terminal`, `policy`: a user's home, a person at a terminal, a policy with what it is about;
  `auth_commands` is what all kinds of users ask of `auth`.
- `runs`: a user who publishes behind a relay, and the index for that.
- `waiting`: `until(condition)`, the one way to wait for something.
- `agents`: an agent as a process, within the test or made up; clients that behave, or do not.
- `servers`: indexes, registries and other servers on loopback.
- `systems`: other users, buses, keyrings, displays, service managers and hosts.
- `inspection`: what is seen from outside of processes, their memory, and the files they left.
- `tools`: twine, pip, uv and others, and how each publishes and installs.
- `macaroons`, `fuzz_targets`, `tour`: tokens as indexes make them, what a fuzzer runs, docs/TOUR.md.

What is needed by one file of tests stays there; it moves here when a second one wants it.
"""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
"""What another process needs in its PYTHONPATH to import what is here."""

CHECKOUT = TESTS.parent
