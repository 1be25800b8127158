"""Money in plain Python: token buckets, prices, costs."""
