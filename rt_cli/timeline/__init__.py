"""Where every captured sample is."""
