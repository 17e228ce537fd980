"""How a command is declared: a plain function whose argument groups are dataclasses.

A command line has more options than a function should have arguments, and most of them come in
groups that many commands share (which server, which addon, how to wait). A group is a dataclass
whose fields are Typer options; `verb` spreads the groups over the command's signature and puts
them together again before the call. A field name may appear once per command.
"""

import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any, cast

import typer

Work = Callable[..., None]


def noun(help_text: str) -> typer.Typer:
    """The holder of one noun's verbs."""
    return typer.Typer(help=help_text, no_args_is_help=True, rich_markup_mode="rich")


def verb(app: typer.Typer, name: str, *examples: str) -> Callable[[Work], Work]:
    """Registers a command; its docstring is the help, followed by the examples."""

    def register(work: Work) -> Work:
        app.command(name, epilog=_epilog(examples))(spread(work))
        return work

    return register


def _epilog(examples: tuple[str, ...]) -> str:
    title = "Example:" if len(examples) == 1 else "Examples:"
    return "\n\n".join([title, *(f"  {example}" for example in examples)])


def spread(work: Work) -> Work:
    groups = inspect.signature(work, eval_str=True).parameters

    def run(**values: object) -> None:
        work(**{name: _gathered(p, values) for name, p in groups.items()})

    flat = [option for parameter in groups.values() for option in _options(parameter)]
    run.__signature__ = inspect.Signature(flat)  # type: ignore[attr-defined]
    run.__doc__ = work.__doc__
    run.__name__ = work.__name__
    return run


def _options(parameter: inspect.Parameter) -> list[inspect.Parameter]:
    if not is_dataclass(parameter.annotation):
        return [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)]
    fields = _signature(parameter.annotation).parameters.values()
    return [field.replace(kind=inspect.Parameter.KEYWORD_ONLY) for field in fields]


def _gathered(parameter: inspect.Parameter, values: dict[str, object]) -> object:
    if not is_dataclass(parameter.annotation):
        return values[parameter.name]
    names = _signature(parameter.annotation).parameters
    build = cast("Callable[..., object]", parameter.annotation)
    return build(**{name: values[name] for name in names})


def _signature(group: object) -> inspect.Signature:
    return inspect.signature(cast("Callable[..., Any]", group), eval_str=True)
