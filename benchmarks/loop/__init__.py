"""How the loop behaves over a long time: `python -m benchmarks.loop`.

gates        false alarms a day on healthy traffic, and how soon a doubling of errors is found
kills        whole lifecycles under kill -9, with frozen workers, clock jumps, full disks and a lost database
reach        how soon every process obeys the kill switch, and serves what was promoted
record       lists, status and an idle tick over ten thousand changes
regressions  what harm a watch rolls back, and what is harmless it keeps
"""
