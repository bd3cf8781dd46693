"""Audits: what the mathematics of a model promises, tried on the weights at hand.

An audit is one function, Subject -> Finding, and one entry of `lookalike.audits.table.AUDITS`. It says itself
which models it is for, by what they can do (`models/base.py`), and raises `UnfitError` for the others. All is
computed on the CPU and, but for what is saved and drawn, in float64: there a fault is told from rounding.
"""
