// A server in Rust that takes its socket by LISTEN_FDS, as the crate listenfd does, and
// answers with the standard library alone.
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::fd::{FromRawFd, RawFd};
use std::{env, process, thread};

fn main() {
    let own = process::id().to_string();
    if env::var("LISTEN_PID").as_deref() != Ok(own.as_str()) || env::var("LISTEN_FDS").as_deref() != Ok("1") {
        eprintln!("no socket was passed");
        process::exit(1);
    }
    const FIRST: RawFd = 3;
    let listener = unsafe { TcpListener::from_raw_fd(FIRST) };
    // The socket is non-blocking for the sake of those who share it, so wait for it by poll(2).
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                wait(FIRST);
                continue;
            }
            Err(_) => continue,
        };
        let pid = own.clone();
        thread::spawn(move || {
            let mut out = stream.try_clone().unwrap();
            let mut lines = BufReader::new(stream).lines();
            while let Some(Ok(line)) = lines.next() {
                if line.is_empty() {
                    let body = "hello from rust\n";
                    let _ = write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\nX-Worker-Pid: {}\r\n\r\n{}", body.len(), pid, body);
                    return;
                }
            }
        });
    }
}

#[repr(C)]
struct PollFd {
    fd: RawFd,
    events: i16,
    revents: i16,
}

extern "C" {
    fn poll(fds: *mut PollFd, count: std::ffi::c_ulong, timeout: std::ffi::c_int) -> std::ffi::c_int;
}

fn wait(fd: RawFd) {
    const POLLIN: i16 = 1;
    let mut one = PollFd { fd, events: POLLIN, revents: 0 };
    unsafe { poll(&mut one, 1, -1) };
}
