"""A server of sockets alone, which waits in the system call that it is told. It
starts when READY exists, and cannot while FAIL does."""

import os
import select
import socket
import sys
import time

began = time.monotonic()
while not os.path.exists(os.environ["READY"]):
    if os.path.exists(os.environ["FAIL"]) and time.monotonic() > began + 1.5:
        sys.exit("cannot load the model")
    select.select([0], [], [], 0.01) if sys.argv[1] == "accept" else time.sleep(0.01)

listener = socket.socket(fileno=3)
poll = select.poll()
poll.register(3, select.POLLIN)
while True:
    if sys.argv[1] == "accept":
        listener.setblocking(True)
    elif sys.argv[1] == "poll":
        poll.poll()
    else:
        select.select([listener], [], [])
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        continue
    with connection:
        connection.setblocking(True)
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nstarted\n")
