"""Imports dumps that Holdfast did not make: surveyed, filtered, and loaded without rights."""
