"""What the user declares: frozen pydantic models, one module per phase, no Spark."""
