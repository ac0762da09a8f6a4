"""Random bytes in blocks: as many as asked for, and none given twice."""

from meliora.gateway.entropy import Entropy


def test_no_bytes_are_given_twice_over_the_end_of_a_block() -> None:
    """A block's rest that is too short is left, not repeated."""
    entropy = Entropy()
    given = [entropy(24) for _ in range(1000)]
    assert {len(one) for one in given} == {24}
    assert len(set(given)) == 1000
