"""One module per step of the flow: its result as a section of the report."""
