"""Phase 1: what the business wants, frozen before the first row is read."""
