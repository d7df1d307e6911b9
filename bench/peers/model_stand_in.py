"""A stand-in for a model provider: OpenAI's chat completions as a stream, whose first words say when they were sent.

`python -m bench.peers.model_stand_in PORT`. Times are seconds of the monotonic clock, which all processes share.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

# A provider needs a while for its first word.
THINKING = 0.02
WORDS = 20


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers one request after the other on a connection that stays open."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(length)
            asked = time.monotonic()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            await asyncio.sleep(THINKING)
            _send(writer, _delta(f"asked={asked:.7f} sent={time.monotonic():.7f} "))
            await writer.drain()
            for number in range(WORDS):
                await asyncio.sleep(0.001)
                _send(writer, _delta(f"word {number} "))
            usage = {"prompt_tokens": 100, "completion_tokens": WORDS, "total_tokens": 100 + WORDS}
            _send(writer, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            _send(writer, {"choices": [], "usage": usage})
            _chunk(writer, b"data: [DONE]\n\n")
            writer.write(b"0\r\n\r\n")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def _delta(text: str) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}


def _send(writer: asyncio.StreamWriter, event: dict[str, object]) -> None:
    event = {"id": "c", "object": "chat.completion.chunk", "model": "stand-in", **event}
    _chunk(writer, f"data: {json.dumps(event)}\n\n".encode())


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


async def main() -> None:
    """Listens until it is ended."""
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
