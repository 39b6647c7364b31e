"""Randomness in stock."""

from edge.collector import RandomPool


def test_random_bytes_are_given_once_and_in_their_order() -> None:
    asked: list[int] = []

    def source(size: int) -> bytes:
        asked.append(size)
        return bytes(number % 251 for number in range(size))

    take = RandomPool(source).take
    found = b"".join(take(16) for _ in range(256))
    assert found == bytes(number % 251 for number in range(4_096))
    assert asked == [4_096]
    assert (take(5_000), asked) == (source(5_000), [4_096, 5_000, 5_000])
