"""Models: one file a provider, behind the protocols of `listwise.models.base`."""
