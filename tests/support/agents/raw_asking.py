"""A client that shows every byte of what it is answered, in a process of its own.

    python raw_asking.py SOCKET < requests

The input is a JSON array of `[op, arguments, body]`, put one after the other on one connection. The
output is a JSON array of the answers, whole frames in hexadecimal; it ends where the agent hangs up.
"""

from __future__ import annotations

import json
import socket
import sys

from tokenward_protocol.frames import PREFIX, make_frame, read_sizes
from tokenward_protocol.messages import make_request


def main() -> None:
    """Put the requests of stdin, and print the answers."""
    answers: list[str] = []
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(sys.argv[1])
        sock.settimeout(60)
        for number, (op, arguments, body) in enumerate(json.load(sys.stdin)):
            sock.sendall(make_frame(make_request(op, number, arguments), body.encode()))
            answer = _read(sock)
            if not answer:
                break
            answers.append(answer.hex())
    json.dump(answers, sys.stdout)


def _read(sock: socket.socket) -> bytes:
    data, whole = b"", PREFIX
    while len(data) < whole:
        more = sock.recv(65536)
        if not more:
            return b""
        data += more
        if whole == PREFIX <= len(data):
            whole, _ = read_sizes(data)
    return data


if __name__ == "__main__":
    main()
