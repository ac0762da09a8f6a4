"""Documents archived that are stale, said twice or of no use."""
