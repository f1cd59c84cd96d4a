"""The model behind a request: read, check, score, answer; the same in Lambda and over HTTP."""
