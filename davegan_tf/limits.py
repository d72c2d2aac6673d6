"""Limits that configurations, commands and functions share; nothing is imported here, as --help needs them."""

# Sides of a generated micrograph in pixels.
SMALLEST_MICROGRAPH, LARGEST_MICROGRAPH = 64, 16384
LARGEST_SEED = 2**31 - 1
MOST_PHASES = 8
