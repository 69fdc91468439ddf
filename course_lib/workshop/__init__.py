"""For maintainers: build notebooks, lock versions, report on the data, release."""
