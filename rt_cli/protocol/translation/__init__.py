"""Translation sessions: sound in; translated sound, its words and the words that were said out. Pure."""
