"""Why a metric fell short: which calls, since when, and what kinds of change can act on it.

    cube       calls of two windows, grouped and counted: what is read
    slices     which calls explain the change: the scan, and what it says
    rates, table, mixture   parts of the scan: what is expected, the search, shifts of traffic
    moment     when it began, and what else happened then
    classes    classes of errors, and whether trying again can help
    kinds      which kinds of change can act on a finding
    finding    the record of all this, its sentence and its report

Knows `stats` and its own records; never a plane, never the loop. What it reads it asks for by `sources`.
"""
