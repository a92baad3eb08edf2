"""The kinds of local scorers, one file a kind; `listwise.models.local` finds and loads them.

``chunking``           how long passages are cut: pure
``reading``            texts to token ids, with what a model wants around them
``passages``           a scorer: cuts, asks a kind for scores, keeps the account of what was read
``configs``            what a directory says about its model
``network``            ONNX graphs on every core
``pretrained``         weights without a graph, through torch
``memory``             representations of passages, kept between requests
``cross_encoder``, ``bi_encoder``, ``hybrid``, ``monot5``, ``late_interaction``  the kinds
"""
