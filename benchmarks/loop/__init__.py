"""How the loop behaves over a long time: `python -m benchmarks.loop`.

gates       false alarms a day on healthy traffic, and how soon a doubling of errors is found
"""
