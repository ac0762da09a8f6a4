"""Documents, their searches and judgments, conversations, data sets, and what is learned of them; the index that PostgreSQL keeps."""
