"""What the settings of Gunicorn 27 are called here: the one table behind ``gosuper import`` and the page GUNICORN.md."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """What takes the place of a setting."""

    key: str = ""
    """The key of supervisor.toml."""
    option: str = ""
    """The option of ``python -m gosuper``, at the end of the command."""
    note: str = ""
    """What there is to know besides; where there is neither key nor option, what to do."""
    needless: bool = False
    """There is nothing to be done, whatever the value."""


def _all(names: str, setting: Setting) -> dict[str, Setting]:
    return dict.fromkeys(names.split(), setting)


_HOOK = Setting(note="gosuper runs no code of yours: what a worker does at its start and end belongs into the lifespan")
_PARSER = Setting(note="the parser of uvicorn has limits and rules of its own")
_HTTP2 = Setting(note="the HTTP/2 of --http2 has limits of its own")
_DIRTY = Setting(note="there are no other workers than those that serve: run long tasks in a program of their own")
_LOGGING = Setting(note="for the loggers uvicorn, uvicorn.error and your own: --log-config FILE at the end of the command")
_SYSLOG = Setting(note="the log goes to stderr, which systemd keeps, or to log.file")
_STATSD = Setting(note="metrics are for Prometheus: admin.bind")
_TLS = Setting(note="let nginx in front do that; here are tls.cert and tls.key alone")
_UWSGI = Setting(note="speak HTTP to it, and forward the client's address in X-Forwarded-For")

SETTINGS: dict[str, Setting] = {
    "wsgi_app": Setting("command", note="the first word of it"),
    "bind": Setting("bind"),
    "backlog": Setting("backlog"),
    "workers": Setting("workers", note='"2*cpu+1" and "auto" go by the CPU quota of the container'),
    "worker_class": Setting(note="python -m gosuper serves ASGI with uvicorn, and WSGI on --threads threads: leave it out"),
    "threads": Setting(option="--threads", note="for WSGI; ASGI needs none"),
    "worker_connections": Setting("worker_connections", note="requests in flight; past it a free worker takes the next"),
    "max_requests": Setting("max_requests", note="the replacement is ready first"),
    "max_requests_jitter": Setting("max_requests_jitter"),
    "timeout": Setting("timeout", note="of each request: it is answered with 504, and the others beside it go on"),
    "graceful_timeout": Setting("graceful_timeout", note="on stop; drain_timeout is that of a reload"),
    "keepalive": Setting("keepalive"),
    "reload": Setting("reload"),
    "reload_extra_files": Setting("watch.paths"),
    "preload_app": Setting("preload", note="a reload loads the new code all the same"),
    "reuse_port": Setting("reuse_port"),
    "chdir": Setting("chdir"),
    "raw_env": Setting("env"),
    "pidfile": Setting("pidfile", note="held by a lock, so that a stale one is no obstacle"),
    "user": Setting("user"),
    "group": Setting("group"),
    "umask": Setting("umask"),
    "accesslog": Setting("log.access_file"),
    "access_log_format": Setting("log.access_format", note='"combined" or "json"'),
    "errorlog": Setting("log.file"),
    "loglevel": Setting("log.level", note="of gosuper; the application's is --log-level at the end of the command"),
    "proc_name": Setting("name"),
    "pythonpath": Setting("env", note="PYTHONPATH"),
    "keyfile": Setting("tls.key"),
    "certfile": Setting("tls.cert"),
    "control_socket": Setting("control.socket"),
    "control_socket_disable": Setting("control.socket", note='"off"'),
    "forwarded_allow_ips": Setting(option="--forwarded-allow-ips"),
    "root_path": Setting(option="--root-path"),
    "asgi_loop": Setting(option="--loop"),
    "asgi_lifespan": Setting(option="--lifespan"),
    "websocket_max_message_size": Setting(option="--ws-max-size"),
    "http_parser": Setting(option="--http", note="h11 or httptools"),
    "asgi_disconnect_grace_period": Setting(
        note="--cancel-on-disconnect at the end of the command cancels a handler at once"
    ),
    "config": Setting(note="gosuper -c supervisor.toml"),
    "default_proc_name": Setting(needless=True, note="name is that of the command"),
    "check_config": Setting(note="gosuper --check-config, or gosuper check"),
    "print_config": Setting(note="gosuper check prints the configuration in force"),
    "daemon": Setting(note="gosuper stays in the foreground: let systemd or the container start it"),
    "spew": Setting(note="abort_signal prints the stacks of a stuck worker; nothing else is traced"),
    "reload_engine": Setting(needless=True, note="the kernel tells of changes"),
    "initgroups": Setting(needless=True, note="with user, workers have all groups of that user"),
    "worker_tmp_dir": Setting(needless=True, note="workers share memory with the master"),
    "capture_output": Setting(needless=True, note="what workers write goes where gosuper's own output goes"),
    "enable_stdio_inheritance": Setting(needless=True, note="what workers write goes where gosuper's own output goes"),
    "control_socket_mode": Setting(needless=True, note="root and the user of the master are answered, nobody else"),
    "suppress_ragged_eofs": Setting(needless=True, note="asyncio does so"),
    "do_handshake_on_connect": Setting(needless=True, note="a handshake holds nobody up"),
    "sendfile": Setting(needless=True, note="uvicorn does not use it"),
    "http_protocols": Setting(
        option="--http2",
        note="where h2 is among them, with the package zttp; uvicorn calls it experimental: nginx in front is better",
    ),
    "http2_cleartext": Setting(option="--http2", note="for clients that begin with it; there is no upgrade to it"),
    "tmp_upload_dir": Setting(note='TMPDIR in env: env = { TMPDIR = "/path" }'),
    "secure_scheme_headers": Setting(note="uvicorn takes X-Forwarded-Proto from the addresses of --forwarded-allow-ips"),
    "forwarder_headers": Setting(note="uvicorn passes no header on as a variable but those of CGI"),
    "header_map": Setting(note="uvicorn passes headers on as they came; let the proxy drop those with underscores"),
    "paste": Setting(note="write a module that makes the application, and give MODULE:ATTR"),
    "raw_paste_global_conf": Setting(note="write a module that makes the application, and give MODULE:ATTR"),
    "pre_request": Setting(note="gosuper runs no code of yours: write a middleware"),
    "post_request": Setting(note="gosuper runs no code of yours: write a middleware"),
    "enable_backlog_metric": _STATSD,
    "proxy_protocol": Setting(note="uvicorn does not read it: let the proxy send X-Forwarded-For"),
    "proxy_allow_ips": Setting(note="uvicorn does not read it: let the proxy send X-Forwarded-For"),
    "protocol": _UWSGI,
    "uwsgi_allow_ips": _UWSGI,
    **_all("limit_request_line limit_request_fields limit_request_field_size", _PARSER),
    **_all("permit_obsolete_folding strip_header_spaces permit_unconventional_http_method", _PARSER),
    **_all("permit_unconventional_http_version casefold_http_method", _PARSER),
    **_all("logger_class logconfig logconfig_dict logconfig_json", _LOGGING),
    **_all("syslog_addr syslog syslog_prefix syslog_facility disable_redirect_access_to_syslog", _SYSLOG),
    **_all("statsd_host dogstatsd_tags statsd_prefix", _STATSD),
    **_all("on_starting on_reload when_ready pre_fork post_fork post_worker_init worker_int worker_abort", _HOOK),
    **_all("pre_exec child_exit worker_exit nworkers_changed on_exit", _HOOK),
    **_all("ssl_context ssl_version cert_reqs ca_certs ciphers", _TLS),
    **_all("http2_max_concurrent_streams http2_initial_window_size", _HTTP2),
    **_all("http2_max_frame_size http2_max_header_list_size", _HTTP2),
    **_all("dirty_apps dirty_workers dirty_timeout dirty_threads dirty_graceful_timeout", _DIRTY),
    **_all("on_dirty_starting dirty_post_fork dirty_worker_init dirty_worker_exit", _DIRTY),
}


def page() -> str:
    """The table as the page GUNICORN.md has it."""
    lines = [
        "# Coming from Gunicorn",
        "",
        "`gosuper import gunicorn.conf.py` prints the supervisor.toml that means the same. Every setting of Gunicorn 27:",
        "",
        "| Gunicorn | gosuper | |",
        "| --- | --- | --- |",
    ]
    for name in sorted(SETTINGS):
        s = SETTINGS[name]
        here = f"`{s.key}`" if s.key else f"`{s.option}` of the command" if s.option else "not needed" if s.needless else ""
        lines.append(f"| `{name}` | {here} | {s.note} |")
    return "\n".join(lines) + "\n"
