"""Why a metric fell short: which calls, since when, and what kinds of change can act on it.

    records    what passes between the parts, and what is kept
    cube       calls of two windows, grouped and counted: what is read
    slices     which calls explain the change: the scan, and what it says
    rates, table, mixture   parts of the scan: what is expected, the search, shifts of traffic
    moment     when it began, and what else happened then
    classes    classes of errors, and whether trying again can help
    kinds      which kinds of change can act on a finding
    finding    the record of all this, its sentence and its report
    diagnose   from a breach to a finding; `Source` is what it reads, and the store implements

Knows `stats` and its own records; never a plane, never the loop.
"""
