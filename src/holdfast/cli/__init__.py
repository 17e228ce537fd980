"""The command line: one file per noun, one function per verb, nothing but HTTP underneath."""
