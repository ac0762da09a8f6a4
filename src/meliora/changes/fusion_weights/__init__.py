"""Other weights of words, character n-grams and vectors."""
