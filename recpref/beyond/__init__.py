"""What lists are like, beyond their accuracy: one function a file, lists in and one number out.

Every function takes ``lists`` [U, K] (item numbers, best first, PAD where a list is short), ``facts`` of training (see
``recpref.facts``) and the cut-off ``k``, and gives None where there is nothing to measure. Chosen by ``evaluation.beyond=[NAME, ...]``.
"""
