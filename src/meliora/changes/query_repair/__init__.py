"""Queries repaired before they are asked: spelling, and expansion learned from what people used."""
