"""The topics of ``rt help``: Markdown files, what is generated into them, and the man page. No options are declared here."""
