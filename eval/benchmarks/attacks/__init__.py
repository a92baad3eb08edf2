"""Attacks by text and models that rank nothing: what is noticed, what is stopped, and what that costs.

`detector` counts real passages that are taken for orders to the model, and recorded models that repeat the order
shown; `simulated` ranks attacked queries by a simulated model that follows orders (``tests/attacks``); `real` asks
a real, very small model.
"""
