"""Worked examples, each run by a test.

- `demo/`   three minutes in which the loop finds, tries, keeps, stops and takes back (`make demo`)
"""
