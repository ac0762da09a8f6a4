"""The loop as it is kept: changes, trials and what their arms have shown, gates, cycles, approvals, alerts, the audit."""
