"""One short wiring function per step."""
