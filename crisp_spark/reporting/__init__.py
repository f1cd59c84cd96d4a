"""Results to self-contained HTML; needs no Spark, no network and no scripts."""
