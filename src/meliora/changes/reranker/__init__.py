"""A reranker trained again on judgments and on what people used."""
