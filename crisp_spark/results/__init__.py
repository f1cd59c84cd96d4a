"""What a step emits: frozen, versioned JSON models that reports and later steps read."""
