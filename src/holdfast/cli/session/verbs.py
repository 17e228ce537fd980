"""Declares commands: plain functions whose argument groups are dataclasses.

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
    """Makes the group of one noun's verbs."""
    return typer.Typer(help=help_text, no_args_is_help=True, rich_markup_mode="rich")


def verb(app: typer.Typer, name: str, *examples: str) -> Callable[[Work], Work]:
    """Registers a command; its docstring is the help, followed by the examples."""

    def register(work: Work) -> Work:
        title = "Example:" if len(examples) == 1 else "Examples:"
        epilog = "\n\n".join([title, *(f"  {example}" for example in examples)])
        app.command(name, epilog=epilog)(spread(work))
        return work

    return register


def spread(work: Work) -> Work:
    """Returns the command with the fields of its argument groups as its own options."""
    groups = inspect.signature(work, eval_str=True).parameters

    def run(**values: object) -> None:
        arguments: dict[str, object] = {}
        for name, parameter in groups.items():
            if is_dataclass(parameter.annotation):
                build = cast("Callable[..., object]", parameter.annotation)
                fields = _signature(parameter.annotation).parameters
                arguments[name] = build(**{field: values[field] for field in fields})
            else:
                arguments[name] = values[name]
        work(**arguments)

    options: list[inspect.Parameter] = []
    for parameter in groups.values():
        is_group = is_dataclass(parameter.annotation)
        fields = _signature(parameter.annotation).parameters.values() if is_group else [parameter]
        options += [field.replace(kind=inspect.Parameter.KEYWORD_ONLY) for field in fields]
    run.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    run.__doc__ = work.__doc__
    run.__name__ = work.__name__
    return run


def _signature(group: object) -> inspect.Signature:
    return inspect.signature(cast("Callable[..., Any]", group), eval_str=True)
