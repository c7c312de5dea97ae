"""``gosuper import gunicorn.conf.py``: the supervisor.toml that means the same as a configuration of Gunicorn."""

from __future__ import annotations

import argparse
import ast
import importlib.machinery
import importlib.util
import json
import os
import re
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from gosuper._gunicorn import SETTINGS

_TOP, _TABLES = "", ("env", "log", "control", "tls", "watch")
_LEVELS = {"warning": "warn", "critical": "error"}
_PARSERS = {"python": "h11", "fast": "httptools"}
_BY_CPU = {(1, 0): "cpu", (1, 1): "cpu+1", (2, 1): "2*cpu+1"}
"""What workers is called that has so many for each CPU, and so many besides."""
_COMBINED = re.compile(r"^%\(h\)s .*%\(r\)s.*%\(s\)s")


class Translation:
    """A file of Gunicorn, line by line in the words of supervisor.toml."""

    def __init__(self, name: str, settings: dict[str, Any], source: str, keys: frozenset[str]) -> None:
        self.name = name
        self.settings = settings
        self.keys = keys
        self.places = _places(source)
        self.tables: dict[str, dict[str, str]] = {table: {} for table in (_TOP, *_TABLES)}
        self.remarks: list[str] = []
        self.options: list[str] = []
        self.app: list[str] = []
        for setting, value in settings.items():
            self.translate(setting, value)

    def translate(self, setting: str, value: Any) -> None:
        """Take over one setting."""
        special = getattr(self, "take_" + setting, None)
        known = SETTINGS[setting]
        if special is not None:
            special(value)
        elif known.needless or (not known.key and not known.option and not value):
            return
        elif callable(value) or not (known.key or known.option):
            self.remark(setting, known.note)
        elif known.option:
            self.options += [known.option, str(value)]
        elif value is not None:
            self.set(setting, known.key, _plain(value))

    def set(self, setting: str, key: str, value: Any) -> None:
        """Set a key, if this gosuper has it."""
        if self.keys and key not in self.keys:
            if value:
                self.remark(setting, f"this version of gosuper has no {key}")
            return
        table, _, word = key.rpartition(".")
        self.tables[table][word] = json.dumps(value, ensure_ascii=False)

    def remark(self, setting: str, note: str) -> None:
        """Say that a line could not be taken over, and what to do."""
        line = f":{self.places[setting][0]}" if setting in self.places else ""  # else it is from a module
        self.remarks.append(f"{self.name}{line}: {setting}: {note}")

    def take_wsgi_app(self, value: str | None) -> None:
        if not value:
            return
        reference, call, arguments = value.partition("(")
        if ":" not in reference:
            reference += ":application"
        if call and arguments.strip() != ")":
            self.remark("wsgi_app", f"write a function without parameters that returns {value}, and give it with --factory")
        self.app = [reference, "--factory"] if call else [reference]

    def take_bind(self, value: Any) -> None:
        addresses = value.split(",") if isinstance(value, str) else list(value or [])
        if addresses:
            self.set("bind", "bind", [_address(a.strip()) for a in addresses])

    def take_workers(self, value: int) -> None:
        expression = self.places.get("workers", (0, None))[1]
        by_cpu = _by_cpu(expression)
        if by_cpu in _BY_CPU and by_cpu[0] * (os.cpu_count() or 1) + by_cpu[1] == value:  # else another line has a say
            self.set("workers", "workers", _BY_CPU[by_cpu])
            return
        self.set("workers", "workers", int(value))
        if expression is not None and "cpu_count" in (text := ast.unparse(expression)):
            self.remark("workers", f'{text} is {value} here; "2*cpu+1" and "auto" go by the CPU quota wherever it runs')

    def take_worker_class(self, value: Any) -> None:
        name = value if isinstance(value, str) else getattr(value, "__name__", str(value))
        if "H11" in name:
            self.options += ["--http", "h11", "--loop", "asyncio"]
        elif name in ("gevent", "eventlet", "tornado") or "gevent" in name:
            self.remark("worker_class", f"{name} is not served: a WSGI application has --threads threads, 40 if not said")
        elif name == "sync":
            if self.settings.get("threads") in (None, 1):
                self.options += ["--threads", "1"]
        elif name != "asgi" and name != "gthread" and "uvicorn" not in name.lower():
            self.remark("worker_class", f"{name} is not known: {SETTINGS['worker_class'].note}")

    def take_threads(self, value: int) -> None:
        if int(value) > 1:
            self.options += ["--threads", str(value)]

    def take_http_parser(self, value: str) -> None:
        if value in _PARSERS:
            self.options += ["--http", _PARSERS[value]]

    def take_http_protocols(self, value: Any) -> None:
        names = value.split(",") if isinstance(value, str) else value
        if "h2" in [name.strip() for name in names]:
            self._speak_http2()

    def take_http2_cleartext(self, value: Any) -> None:
        if value == "upgrade":
            self.remark("http2_cleartext", "--http2 at the end of the command is " + SETTINGS["http2_cleartext"].note)
        elif value in ("prior-knowledge", "both"):
            self._speak_http2()

    def _speak_http2(self) -> None:
        if "--http2" not in self.options:
            self.options.append("--http2")

    def take_forwarded_allow_ips(self, value: Any) -> None:
        text = value if isinstance(value, str) else ",".join(value)
        self.options += ["--forwarded-allow-ips", text]

    def take_raw_env(self, value: Any) -> None:
        for pair in [value] if isinstance(value, str) else value:
            name, _, text = pair.partition("=")
            text = re.sub(r"{(slot|place|id)}", r"{{\1}}", text)  # which gosuper would fill in
            self.tables["env"][_bare(name)] = json.dumps(text, ensure_ascii=False)

    def take_pythonpath(self, value: str | None) -> None:
        if value:
            self.tables["env"]["PYTHONPATH"] = json.dumps(":".join(os.path.abspath(p) for p in value.split(",")))

    def take_umask(self, value: Any) -> None:
        self.set("umask", "umask", format(int(str(value), 0) if isinstance(value, str) else value, "03o"))

    def take_user(self, value: Any) -> None:
        self._identity("user", value)

    def take_group(self, value: Any) -> None:
        self._identity("group", value)

    def _identity(self, key: str, value: Any) -> None:
        if value is not None and value != "":
            self.set(key, key, str(value))

    def take_reload_extra_files(self, value: Any) -> None:
        if value:
            self.set("reload_extra_files", "watch.paths", [".", *value])

    def take_access_log_format(self, value: str) -> None:
        if value.lstrip().startswith("{"):
            self.set("access_log_format", "log.access_format", "json")
            self.remark("access_log_format", 'the fields of log.access_format = "json" are gosuper\'s own')
        elif not _COMBINED.match(value):
            self.remark("access_log_format", 'log.access_format is "combined" or "json"')

    def take_loglevel(self, value: str) -> None:
        level = value.lower()
        self.set("loglevel", "log.level", _LEVELS.get(level, level))

    def take_control_socket(self, value: str | None) -> None:
        if value and not self.settings.get("control_socket_disable"):
            self.set("control_socket", "control.socket", os.path.abspath(value))

    def take_control_socket_disable(self, value: bool) -> None:
        if value:
            self.set("control_socket_disable", "control.socket", "off")

    def toml(self) -> str:
        """The whole file."""
        lines = [f"# Made from {self.name} by gosuper import."]
        if os.environ.get("GUNICORN_CMD_ARGS"):
            lines.append("# GUNICORN_CMD_ARGS is not in it: most options of Gunicorn are flags here too.")
        command = json.dumps([*(self.app or ["MODULE:ATTR"]), *self.options], ensure_ascii=False)
        if self.app:
            lines.append(f"command = {command}")
        else:
            lines += ["# The application, which Gunicorn's command line names:", f"# command = {command}"]
        for table, entries in self.tables.items():
            if table and entries:
                lines += ["", f"[{table}]"]
            lines += [f"{key} = {value}" for key, value in entries.items()]
            if not table and self.remarks:
                lines += ["", *_comment(["What was not taken over:", *self.remarks])]
        return "\n".join(lines) + "\n"


def load(path: Path) -> dict[str, Any]:
    """The settings that a file makes, in their order. It is executed as Gunicorn does, in the current folder."""
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    loader = importlib.machinery.SourceFileLoader("__config__", str(path))
    spec = importlib.util.spec_from_file_location("__config__", path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["__config__"] = module
    loader.exec_module(module)
    return {name: value for name, value in vars(module).items() if name in SETTINGS and not isinstance(value, ModuleType)}


def main() -> None:
    """Print the translation of the file that is named."""
    parser = argparse.ArgumentParser(prog="gosuper import", description=__doc__)
    parser.add_argument("file", type=Path, metavar="gunicorn.conf.py")
    parser.add_argument("--keys", default="", help="the keys that this gosuper has")
    arguments = parser.parse_args()
    try:
        source = arguments.file.read_text()
        settings = load(arguments.file)
    except Exception:
        traceback.print_exc()
        sys.exit(1)
    keys = frozenset(filter(None, arguments.keys.split(",")))
    sys.stdout.write(Translation(str(arguments.file), settings, source, keys).toml())


def _places(source: str) -> dict[str, tuple[int, ast.expr | None]]:
    """For each name the line that sets it last, and what it is set to."""
    places: dict[str, tuple[int, ast.expr | None]] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            targets: Iterable[ast.expr] = node.targets if isinstance(node, ast.Assign) else [node.target]
            places.update({t.id: (node.lineno, node.value) for t in targets if isinstance(t, ast.Name)})
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            places[node.name] = (node.lineno, None)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            places.update({(a.asname or a.name): (node.lineno, None) for a in node.names})
    return places


def _by_cpu(expression: ast.expr | None) -> tuple[int, int] | None:
    """How many an expression counts for each CPU, and how many besides: multiprocessing.cpu_count() * 2 + 1 is 2 and 1."""
    match expression:
        case ast.Constant(value=int(n)):
            return 0, n
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[]) if name.endswith("cpu_count"):
            return 1, 0
        case ast.Call(func=ast.Name(id="int"), args=[inner]) | ast.BoolOp(op=ast.Or(), values=[inner, _]):
            return _by_cpu(inner)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _by_cpu(left), _by_cpu(right)
            if a is not None and b is not None and isinstance(op, ast.Add):
                return a[0] + b[0], a[1] + b[1]
            if a is not None and b is not None and isinstance(op, ast.Mult) and 0 in (a[0], b[0]):
                return a[0] * b[1] + a[1] * b[0], a[1] * b[1]
    return None


def _plain(value: Any) -> Any:
    return (
        value
        if isinstance(value, (bool, int, float, str))
        else list(value)
        if isinstance(value, (list, tuple))
        else str(value)
    )


def _address(address: str) -> str:
    """An address of Gunicorn's, which may be without a port."""
    address = address.removeprefix("tcp://")
    if address.startswith("unix:"):
        return "unix:" + address.removeprefix("unix:").removeprefix("//")
    if address.startswith("fd://") or re.search(r":\d+$", address):
        return address
    return f"{address or '0.0.0.0'}:8000"


def _bare(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


def _comment(lines: Iterable[str]) -> list[str]:
    return ["# " + " ".join(line.split()) for line in lines]


if __name__ == "__main__":
    main()
