"""A body of known length into memory."""

from __future__ import annotations

from transfer.model.errors import ProtocolError
from transfer.wire.connection import Response
from transfer.wire.flow import Flow


async def receive_into_memory(response: Response, length: int, flow: Flow) -> bytearray:
    """Receive a whole body of exactly `length` bytes.

    Raises:
        ProtocolError: It is longer or shorter.
        WireError: The connection broke before the end.
    """
    if response.length not in (None, length):
        raise ProtocolError(f"the store sent {response.length} bytes, not {length}")
    content = bytearray(length)
    view = memoryview(content)
    while view:
        got = await response.read_into(view[: flow.step_bytes])
        if got == 0:
            raise ProtocolError(f"the store sent {len(view)} bytes fewer than {length}")
        view = view[got:]
        flow.moved(got)
        await flow.admit(got)
    if await response.read_into(memoryview(bytearray(1))):
        raise ProtocolError(f"the store sent more than {length} bytes")
    return content
