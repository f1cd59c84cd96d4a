"""Phase 5: measures on unseen data and the decision that follows from them."""
