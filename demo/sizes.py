"""Sizes and rates as people type and read them."""

import argparse
import re

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}


def parse_size(text: str) -> int:
    """`300MB`, `2GB`, `1.5g` or a number of bytes; an option's type for argparse."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([kmg]?)b?", text.strip().lower())
    if found is None or float(found[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; 300MB or 2GB is one")
    return int(float(found[1]) * _UNITS[found[2]])


def mb(count: float) -> str:
    """Bytes in the MB (10^6) that disks and rates are sold in; kB when there are few."""
    if count < 1e6:
        return f"{count / 1e3:,.1f} kB"
    return f"{count / 1e6:,.1f} MB" if count < 100e6 else f"{count / 1e6:,.0f} MB"


def rate(count: float, seconds: float) -> str:
    return f"{count / 1e6 / max(seconds, 1e-3):,.0f} MB/s"
