"""A loader that does at each SPAWN what the file says that is its argument, and its workers,
which answer every request with what they are."""

import array
import ctypes
import faulthandler
import json
import os
import resource
import select
import signal
import socket
import sys
import threading
import time

mischief_file = sys.argv[1]
faulthandler.enable()


def mischief():
    with open(mischief_file) as f:
        return f.read().strip()


if mischief() == "broken":
    sys.exit("cannot find the model")
if mischief() == "third":  # two of three do not get ready, and the third makes no worker
    with open(mischief_file + ".starts", "a+") as starts:
        if starts.write("x") and starts.tell() % 3:
            sys.exit("cannot find the model")
if mischief() == "plain":
    time.sleep(3600)
model = b"x" * (100 << 20) if mischief() == "heavy" else b""
assert int(os.environ["LISTEN_PID"]) == os.getpid()
given = int(os.environ.pop("GOSUPER_LOADER_FD"))
loader = socket.socket(fileno=os.dup2(given, 200, inheritable=False))
os.close(given)
libc = ctypes.CDLL(None)
loaded = os.getpid()


def serve(notify):
    listener = socket.socket(fileno=3)
    notify.send(b"READY=1")
    while True:
        select.select([listener], [], [])
        try:
            client, _ = listener.accept()
        except BlockingIOError:
            continue
        client.setblocking(True)
        client.recv(4096)
        death = ctypes.c_int()
        libc.prctl(2, ctypes.byref(death))
        facts = {
            "pid": os.getpid(),
            "ppid": os.getppid(),
            "session": os.getsid(0),
            "group": os.getpgid(0),
            "loader": loaded,
            "uid": os.getuid(),
            "gid": os.getgid(),
            "groups": os.getgroups(),
            "umask": os.umask(0),
            "cwd": os.getcwd(),
            "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
            "death_signal": death.value,
            "stdin": os.readlink("/proc/self/fd/0"),
            "env": dict(os.environ),
            "fds": sorted(int(fd) for fd in os.listdir("/proc/self/fd")),
        }
        os.umask(facts["umask"])
        body = json.dumps(facts).encode()
        client.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        client.close()


def become_worker(seq, environ, files, how):
    master = int(environ.pop("GOSUPER_MASTER_PID"))
    while os.getppid() != master:
        time.sleep(0.0005)
    libc.prctl(1, signal.SIGKILL)
    if os.getppid() != master or how == "early":
        os._exit(1)
    if how != "no session":
        os.setsid()
    safe = [os.dup2(fd, 100 + i) for i, fd in enumerate(files)]
    for i, fd in enumerate(safe):
        os.dup2(fd, i)
    os.closerange(len(files), 200)
    os.environ.update(environ, LISTEN_PID=str(os.getpid()))
    notify = socket.socket(fileno=int(environ["GOSUPER_NOTIFY_FD"]))
    if how == "late":
        time.sleep(3600)
    loader.send(b"SPAWNED=%d" % seq)
    loader.close()
    if how in ("end", "both end"):
        os.kill(loaded, signal.SIGKILL)
    if how in ("killed", "both end"):
        os.kill(os.getpid(), signal.SIGKILL)
    if notify.recv(16) != b"GO=1":
        os._exit(1)
    serve(notify)


if mischief() == "threads":
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
    for _ in range(3):
        loader.send(b"STATUS=2 threads run")
loader.send(b"READY=1")
while True:
    message, ancillary, _, _ = loader.recvmsg(65536, 4096)
    if not message:
        os._exit(0)
    files = array.array("i")
    for _, _, data in ancillary:
        files.frombytes(data)
    environ = dict(line.split("=", 1) for line in message.decode().split("\n"))
    seq, how = int(environ.pop("SPAWN")), mischief()
    if how == "hang":
        time.sleep(3600)
    if how == "deaf":
        signal.signal(signal.SIGABRT, signal.SIG_IGN)
        time.sleep(3600)
    if how == "stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
    if how in ("exit", "third"):
        os._exit(7)
    if how == "close":
        loader.close()
        time.sleep(3600)
    if how == "slow":
        time.sleep(1)
    if how == "fail":
        loader.send(b"FAILED=%d\nno memory\nfor a fork" % seq)
    else:
        if how == "foreign":
            for pid in (1, os.getpid(), int(environ["GOSUPER_MASTER_PID"])):
                loader.send(b"SPAWNED=%d\nPID=%d" % (seq, pid))
            loader.send(b"SPAWNED=999999")
        if how == "flood":
            for i in range(3000):
                loader.send(b"\xff\x00junk %d" % i)
        middle = os.fork()
        if middle == 0:
            if os.fork() > 0:
                os._exit(0)
            become_worker(seq, environ, files, how)
        os.waitpid(middle, 0)
    for fd in files:
        os.close(fd)
