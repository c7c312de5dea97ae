package config

// foreignNames is the table of names that are none here.
var foreignNames = []foreign{
	// What this version does not have.
	{names: "workers_max", here: "this version keeps the number of workers: gosuper scale N changes it while they serve"},
	{names: "reuse_port", here: "this version has one queue for all workers; cooperating ones take from it evenly without an option"},

	// What has another name.
	{names: "host port uds", key: "bind", here: `HOST:PORT, or unix:PATH`},
	{names: "fd", key: "bind", here: "fd://N is a socket that gosuper inherits; the --fd 3 of uvicorn comes after uvicorn"},
	{names: "access_log no_access_log accesslog", key: "log.access_file", here: "for cooperating workers; uvicorn's own option comes after uvicorn"},
	{names: "access_logformat access_log_format", key: "log.access_format", here: `"combined" or "json"`},
	{names: "errorlog log_file", key: "log.file"},
	{names: "loglevel", key: "log.level"},
	{names: "use_colors no_use_colors", key: "log.format", here: "colours are for terminals, and off where NO_COLOR=1 is set"},
	{names: "limit_max_requests", key: "max_requests"},
	{names: "limit_max_requests_jitter", key: "max_requests_jitter"},
	{names: "limit_concurrency", key: "worker_connections", here: "past it a worker stops accepting, and nobody is refused"},
	{names: "timeout_keep_alive", key: "keepalive"},
	{names: "timeout_graceful_shutdown", key: "graceful_timeout", here: "on replacement it is --drain-timeout"},
	{names: "timeout_worker_healthcheck", key: "watchdog"},
	{names: "certfile ssl_certfile", key: "tls.cert", here: "for cooperating workers"},
	{names: "keyfile ssl_keyfile", key: "tls.key", here: "for cooperating workers"},
	{names: "raw_env", key: "env"},
	{names: "preload_app", key: "preload"},
	{names: "proc_name default_proc_name", key: "name"},
	{names: "reload_dir reload_dirs reload_extra_file reload_extra_files", key: "watch.paths"},
	{names: "no_control_socket control_socket_disable", key: "control.socket", here: "off is none"},
	{names: "control_socket", key: "control.socket"},
	{names: "paste paster paste_global raw_paste_global_conf wsgi_app app", key: "command", here: "the program that serves the application"},
	{names: "pythonpath app_dir", key: "env", here: "PYTHONPATH=DIR, or --app-dir DIR after the application"},

	// What needs no setting.
	{names: "reload_include reload_includes reload_exclude reload_excludes", here: "every file of watch.paths counts, but those that no source is: gosuper help config watch.paths"},
	{names: "reload_delay reload_engine", here: "the kernel tells of a change at once: leave it out"},
	{names: "D daemon", here: "gosuper stays in the foreground: let systemd start it, or write nohup gosuper ... &"},
	{names: "print_config", here: "gosuper check prints the configuration in force"},
	{names: "config check_config version", here: "that is said on the command line alone: --config, --check-config, --version"},
	{names: "v", here: "gosuper --version, or -V"},
	{names: "control_socket_mode", here: "only root and the user of the master are answered, whatever the mode"},
	{names: "initgroups", here: "with user, workers have all groups of that user: leave it out"},
	{names: "worker_tmp_dir", here: "workers share memory with the master and need no file: leave it out"},
	{names: "R enable_stdio_inheritance capture_output", here: "what workers write goes where gosuper's own output goes: leave it out"},
	{names: "spew", here: "abort_signal asks a stuck worker for its stacks; nothing else is traced"},
	{
		names: "log_syslog syslog log_syslog_to syslog_addr log_syslog_prefix syslog_prefix log_syslog_facility syslog_facility disable_redirect_access_to_syslog",
		here:  "the log goes to stderr, which systemd keeps, or to a file: --error-logfile",
	},
	{names: "logger_class logconfig logconfig_dict log_config_json logconfig_json", here: "gosuper's own log has log.level, log.format and log.file; that of the application is the application's"},
	{names: "statsd_host dogstatsd_tags statsd_prefix enable_backlog_metric", here: "metrics are for Prometheus, on the admin listener: --admin ADDR, and gosuper help metrics"},
	{
		names: "on_starting on_reload when_ready pre_fork post_fork post_worker_init worker_int worker_abort pre_exec child_exit worker_exit nworkers_changed on_exit",
		here:  "gosuper runs no code of yours: what a worker does at its start and end is its application's, ASGI's lifespan for one",
	},
	{names: "pre_request post_request", here: "gosuper runs no code of yours: write a middleware"},
	{
		names: "dirty_app dirty_apps dirty_workers dirty_timeout dirty_threads dirty_graceful_timeout on_dirty_starting dirty_post_fork dirty_worker_init dirty_worker_exit",
		here:  "there are no other workers than those that serve: supervise long tasks by a gosuper of their own",
	},
	{
		names: "ssl_version cert_reqs ssl_cert_reqs ca_certs ssl_ca_certs suppress_ragged_eofs do_handshake_on_connect ciphers ssl_ciphers ssl_context ssl_keyfile_password",
		here:  "gosuper has tls.cert and tls.key alone; let the server do TLS itself, or nginx in front of it",
	},

	// What the server does.
	{server: applications, names: "loop http http2 ws ws_max_size ws_max_queue ws_ping_interval ws_ping_timeout ws_per_message_deflate"},
	{server: applications, names: "threads lifespan interface factory root_path header h11_max_incomplete_event_size reset_contextvars"},
	{server: applications, names: "log_config proxy_headers no_proxy_headers forwarded_allow_ips"},
	{server: applications, names: "server_header no_server_header date_header no_date_header"},
	{server: anyServer, names: "headers asgi_disconnect_grace_period"},
	{server: anyServer, names: "asgi_loop", here: "of a Python application it is --loop"},
	{server: anyServer, names: "asgi_lifespan", here: "of a Python application it is --lifespan"},
	{server: anyServer, names: "http_parser", here: "of a Python application it is --http h11 or httptools"},
	{server: anyServer, names: "websocket_max_message_size", here: "of a Python application it is --ws-max-size"},
	{server: anyServer, names: "http_protocols http2_cleartext http2_max_concurrent_streams http2_initial_window_size http2_max_frame_size http2_max_header_list_size"},
	{server: anyServer, names: "limit_request_line limit_request_fields limit_request_field_size"},
	{server: anyServer, names: "no_sendfile sendfile tmp_upload_dir secure_scheme_headers forwarder_headers header_map"},
	{server: anyServer, names: "proxy_protocol proxy_allow_from proxy_allow_ips protocol uwsgi_allow_from uwsgi_allow_ips"},
	{server: anyServer, names: "permit_obsolete_folding strip_header_spaces permit_unconventional_http_method permit_unconventional_http_version casefold_http_method"},
}
