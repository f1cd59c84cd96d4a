"""The door to MLflow, and an in-memory tracker for tests."""
