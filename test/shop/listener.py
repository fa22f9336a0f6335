"""A server that is told of recorded purchases: accepts, reads one line, appends it to a file, closes.

Usage: listener.py FILE PORT. Prints one line when it listens.
"""

import socket
import sys

server = socket.create_server(("127.0.0.1", int(sys.argv[2])))
print("listening", flush=True)
while True:
    connection, _ = server.accept()
    with connection, connection.makefile("rb") as stream:
        try:
            line = stream.readline()
        except OSError:
            continue
        if line.endswith(b"\n"):
            with open(sys.argv[1], "ab") as file:
                file.write(line)
