"""Reports over the pipe between a child and its supervisor."""

import asyncio
import fcntl
import os

from edge.app.report import Report, Reporter, decode_report

F_SETPIPE_SZ = 1_031


async def test_report_that_is_larger_than_the_pipe_arrives_whole_and_so_does_the_next():
    reading, writing = os.pipe()
    fcntl.fcntl(writing, F_SETPIPE_SZ, 4_096)
    os.set_blocking(writing, False)
    reporter = Reporter(writing, lambda: Report("drainer", 1, True), asyncio.Event())
    large = Report("drainer", 1, True, metrics="m" * 100_000)
    text = b""
    while text.count(b"\n") < 2:
        reporter.send(large)
        text += os.read(reading, 65_536)
    os.close(writing)
    os.close(reading)
    first, second = text.split(b"\n")[:2]
    assert (decode_report(first), decode_report(second)) == (large, large)
