"""The HTTP service: the endpoints of the vendors' rerank APIs over one `Reranker` a policy.

A request goes through the gateway (who asks, may they, is the body in bounds), the vendor's shape (a body becomes
an `Ask`), admission (is there room), and the service (which ranks); the way back writes the vendor's shape again.
"""
