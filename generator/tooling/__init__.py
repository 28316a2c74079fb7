"""Works on generated templates and on the project's files: source map, tables, new services."""
