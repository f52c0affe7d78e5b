"""The topics of ``rt help``: Markdown files, the reference of NDJSON, the man page. Options are declared elsewhere."""
