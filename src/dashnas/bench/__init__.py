"""Methods x tasks x seeds: independent runs, kept in a store, read as a table."""
