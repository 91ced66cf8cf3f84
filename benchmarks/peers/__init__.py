"""The library peers: each file is a small program around one library, started with the same task as JSON.

None is tuned: concurrency and part sizes are the library's own defaults, unless the task names a concurrency.
"""
