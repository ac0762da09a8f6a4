"""From text to what an index holds: terms, character n-grams, passages."""
