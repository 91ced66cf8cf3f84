"""An S3-shaped endpoint that costs little, so that what is measured is the client.

Runs as `python -m benchmarks.null_endpoint`. It keeps nothing and checks nothing, neither signatures nor bodies: it
must never be taken as proof that a transfer is right. POSIX only, on 127.0.0.1 alone.
"""
