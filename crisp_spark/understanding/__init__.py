"""Phase 2: collect, describe and verify the data."""
