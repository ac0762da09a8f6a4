"""A reranker trained again on judgments, on what people used, and on made queries."""
