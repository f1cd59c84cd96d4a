"""Phase 3: lazy DataFrame to DataFrame functions; nothing here runs a Spark job."""
