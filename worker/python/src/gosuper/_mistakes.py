"""What goes wrong when an application is loaded, in words."""

from __future__ import annotations

import difflib
import inspect
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from gosuper._process import process

if TYPE_CHECKING:
    from gosuper._uvicorn import Config


class NoApplicationError(Exception):
    """What was named is there, and is no application; advice is what to do, if that is known."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


def is_factory(app: Any) -> bool:
    """Whether something is a function that makes an application: neither one of ASGI nor one of WSGI has no parameter
    that must be given."""
    return inspect.isfunction(app) and not inspect.iscoroutinefunction(app) and without_arguments(app)


def without_arguments(call: Any) -> bool:
    """Whether something is meant to be called without arguments, as far as can be told."""
    try:
        signature = inspect.signature(call)
        signature.bind()
    except ValueError:
        return True
    except TypeError:
        return False
    return all(p.kind is not inspect.Parameter.VAR_POSITIONAL for p in signature.parameters.values())


def load(config: Config) -> None:
    """Load the application, or say why that cannot be and end. What a traceback tells is left to it."""
    try:
        config.load()
    except NoApplicationError as error:
        fail(str(error), error.advice or _similar(str(config.app)))
    except ImportError as error:
        if error.name == "a2wsgi":
            fail("this is a WSGI application, and a2wsgi is not installed", 'pip install "gosuper[uvicorn]"')
        if not isinstance(error, ModuleNotFoundError):
            raise
        traceback.print_exc()
        hint(
            f"{error.name} is neither in {_folder()} nor installed: "
            f"install its package by {sys.executable} -m pip install, or name another folder by --app-dir"
        )
        give_up(1)
    except SyntaxError:
        traceback.print_exc()
        give_up(1)
    except SystemExit as error:
        if type(error.__context__).__name__ != "ImportFromStringError":
            raise  # it is the application's own
        hint(_similar(str(config.app)))  # uvicorn has said that there is no such module, or nothing of that name in it
        give_up(1)


def fail(message: str, advice: str = "") -> NoReturn:
    """End with a message and what to do about it."""
    print(f"gosuper: error: {message}", file=sys.stderr)
    hint(advice)
    give_up(2)


def give_up(alone: int) -> NoReturn:
    """End with a status that has the master start no further process for the same end; without one with another."""
    env = process.environment
    raise SystemExit(os.EX_CONFIG if env.supervised or env.stray else alone) from None


def hint(advice: str) -> None:
    """Say what to do; nothing if that is not known."""
    if advice:
        print(f"gosuper: hint: {advice}", file=sys.stderr)


def _folder() -> Path:
    return Path(sys.path[0]).absolute()


def _similar(reference: str) -> str:
    """What may have been meant instead of a reference."""
    module, colon, attribute = reference.partition(":")
    if not (module and colon and attribute):
        return "an application is named as MODULE:ATTRIBUTE, as in app.main:app"
    if module not in sys.modules:
        near = _nearest(module, _modules())
        return f"did you mean {near}:{attribute}?" if near else f"looked in {_folder()}; --app-dir names another folder"
    names = [name for name, value in vars(sys.modules[module]).items() if callable(value) and not name.startswith("_")]
    near = _nearest(attribute, names)
    if near:
        return f"did you mean {module}:{near}?"
    return f"{sys.modules[module].__file__} is what was loaded; what can be called in it: {', '.join(names) or 'nothing'}"


def _nearest(name: str, names: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(name, names, 1)), "")


def _modules() -> list[str]:
    """The modules in the folder, and in packages of it."""
    folder = _folder()
    files = [*folder.glob("*.py"), *folder.glob("*/*.py")]
    return [".".join(file.relative_to(folder).with_suffix("").parts).removesuffix(".__init__") for file in files]
