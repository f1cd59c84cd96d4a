"""Phase 4: features, estimators and the hyperparameter sweep."""
