"""Linear models of many penalties from a few passes over the rows of a fold."""
