"""Ranking metrics: one function a file, hits in and one value a user out. Every file here is measured in every run.

Every function takes ``hits`` [U, K] (is the item at rank r + 1 relevant?), ``relevant`` [U] (how many items are relevant
to the user, found or not) and the cut-off ``k``; K may be smaller than k where the catalogue is.
"""
