"""Plans: in which parts libsndfile reads a file, and what the file announces. No decoder."""
