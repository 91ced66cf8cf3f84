"""The data plane: sockets, HTTP/1.1 and the movers that carry a body between a socket and a file.

It knows bytes, heads and deadlines. It must never know of S3, checksums, retries or the command line.
"""
