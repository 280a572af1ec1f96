"""The reference in ``docs/reference``, made of the docstrings: see ``__main__.py``."""
