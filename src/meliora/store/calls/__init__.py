"""Calls as they were served, and what is summed of them: analytics, feedback, measurements, shadows; what the ingester writes."""
