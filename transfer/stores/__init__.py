"""Where bytes live: `s3` speaks the verbs of an object store, `local` walks folders and lands files durably."""
