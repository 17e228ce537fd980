"""`make demo`: the verdict is the exit status. 0 equal, 1 not equal, 2 something went wrong."""

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from demo.place import NoPlace, place
from demo.report import how_to_talk, summarise
from demo.sample import fill_sample
from demo.screen import Screen
from demo.server import Server
from demo.sizes import parse_size
from demo.steps import Outcome, play

_LIVELY = {"HOLDFAST_BEAT": "0.25"}
"""A quick beat makes progress worth watching."""
_UNCHECKED = {"HOLDFAST_AUDIT_EVERY": "0", "HOLDFAST_READ_WITHIN": "0"}
"""The backups of the sample fleet have no bytes: no store check may look for them."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--size", type=parse_size, default="300MB", help="bytes of data, in about")
    parser.add_argument("--keep", action="store_true", help="leave the server running")
    parser.add_argument(
        "--data-dir", type=Path, help="default: a temporary one, removed at the end"
    )
    parser.add_argument("--sabotage", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def run(screen: Screen, chosen: argparse.Namespace, home: Path) -> Outcome:
    settings = {**_LIVELY, **(_UNCHECKED if chosen.keep else {})}
    server = Server(home, outlives_us=chosen.keep, settings=settings)
    left_running = False
    try:
        if chosen.keep:
            with screen.step("Making up a sample fleet with four weeks of history") as step:
                step.result = f"{fill_sample(home)} addons, marked as sample"
        outcome = play(screen, server, chosen.size, sabotage=chosen.sabotage)
        summarise(screen.console, outcome)
        if chosen.keep:
            how_to_talk(screen.console, server, outcome)
            left_running = True
    except Exception as error:
        screen.console.print(f"\n[bold red]FAILED[/]: {type(error).__name__}:", highlight=False)
        screen.console.print(str(error), highlight=False, markup=False)
        screen.console.print(f"\nThe end of {server.log}:", highlight=False)
        screen.console.print(server.log_tail(), highlight=False, markup=False, soft_wrap=True)
        raise SystemExit(2) from error
    finally:
        if not left_running:
            server.stop()
    return outcome


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's signature
    raise KeyboardInterrupt


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGINT):  # shells start background jobs deaf to SIGINT
        signal.signal(number, _interrupt)
    screen, chosen = Screen(), _arguments()
    try:
        with place(chosen.data_dir, chosen.size, keep=chosen.keep) as home:
            return 0 if run(screen, chosen, home).holds else 1
    except NoPlace as error:
        screen.console.print(str(error), highlight=False, markup=False, soft_wrap=True)
        return 2
    except KeyboardInterrupt:
        screen.console.print("\nInterrupted: the server is stopped and its data removed.")
        return 130


if __name__ == "__main__":
    sys.exit(main())
