"""The XML answers of the null endpoint. Pure."""

from __future__ import annotations

from xml.sax.saxutils import escape

from benchmarks.null_endpoint.heads import Request
from benchmarks.null_endpoint.listing import list_document

PUT_ETAG = '"d41d8cd98f00b204e9800998ecf8427e"'
OBJECT_ETAG = '"d41d8cd98f00b204e9800998ecf8427e-9"'
SLOW_DOWN = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def posted_document(request: Request, bucket: str, key: str) -> str:
    """Answer a POST: the end of a multipart upload, its start, or a removal of several objects."""
    names = f"<Bucket>{escape(bucket)}</Bucket><Key>{escape(key)}</Key>"
    if "uploadId" in request.query:
        location = f"<Location>{escape(request.path)}</Location>"
        return _document("CompleteMultipartUploadResult", f"{location}{names}<ETag>{escape(OBJECT_ETAG)}</ETag>")
    if "uploads" in request.query:
        return _document("InitiateMultipartUploadResult", f"{names}<UploadId>upload</UploadId>")
    return _document("DeleteResult", "")


def bucket_document(request: Request, bucket: str) -> str:
    """Answer a GET of a bucket: its region, or a listing."""
    if "location" in request.query:
        return _document("LocationConstraint", "us-east-1")
    return _document("ListBucketResult", list_document(bucket, request.query))


def _document(root: str, content: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><{root} xmlns="{_NAMESPACE}">{content}</{root}>'
