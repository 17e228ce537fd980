"""Reads and writes snapshots in restic's repository format, version 2; `restic` opens every one.

The format is public (restic's design document). Holdfast writes it itself because `restic` cuts
files into pieces of about 1 MiB, which stores most of a database again after a few scattered
updates; blocks that follow the pages of the database do not.
"""
