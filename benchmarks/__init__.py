"""Measurements with one output shape: `python -m benchmarks.NAME --json FILE`.

report      figures, what is missing, the JSON and the table
intervals   95% intervals from samples: means, quantiles, slopes
load        the upstream and the clients that put a gateway under load
gateway     speed, latency, memory and storage of the gateway, and of its peers
"""
