"""Wires steps to tables, results and the tracker; runs them in order."""
