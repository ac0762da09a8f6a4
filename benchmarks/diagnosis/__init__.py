"""Whether a diagnosis finds planted causes, and claims none where there is none."""
