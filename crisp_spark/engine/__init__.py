"""Spark session, published tables and documents."""
