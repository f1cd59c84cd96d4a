"""The crisp command."""
