"""The catalogue by subject. Add a line where it belongs, and its text to tests/deployer/failures/corpus.json."""
