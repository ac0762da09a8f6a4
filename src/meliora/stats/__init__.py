"""Pure mathematics, on numpy alone: no I/O, no clock, nothing of ours. `docs/statistics.md` says which is used where, and why.

sums, contrast       an arm's outcomes by randomised unit; the difference of two arms over the stages of a ramp
confseq              looks at any time: asymptotic confidence sequences, e-values
group_sequential     a few looks up to a committed horizon
trial                the verdict on a live trial, from stored sums
srm, cuped           whether the split is right; less variance from what was known before
quantiles, histogram latency quantiles from mergeable histograms
paired               the same queries, before and after
gate_bounds, burnrate, proportion
                     what a gate compares with its threshold
multiple             many tests at once
changepoint          when a series changed
bootstrap, hull, offpolicy
                     what routing proves itself by
forecast             daily sums carried on
special              distributions that numpy has not
"""
