"""Phase 6: registration, batch scoring and monitoring."""
