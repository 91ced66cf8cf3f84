"""Compares `transfer` with other S3 tools as whole processes: `python -m benchmarks`.

Never imported by the product.
"""
