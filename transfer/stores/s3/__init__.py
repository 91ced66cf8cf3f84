"""An S3-compatible object store: endpoint, credentials, signing, verbs, listings and errors."""
