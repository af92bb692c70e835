"""Workers' ids of volunteers."""

import pytest

from fallow.core.volunteer_ids import host_of, volunteer_id


def test_a_host_is_found_by_any_of_its_workers_ids() -> None:
    assert (volunteer_id(17), volunteer_id(17, 3)) == ("b-17.1", "b-17.3")
    assert host_of(volunteer_id(17)) == host_of(volunteer_id(17, 3)) == 17


@pytest.mark.parametrize("name", ["w-1", "b-", "b-1", "b-.1", "b-1.", "b-1.1.1", "b-x.1", "b-1.1\n", "ab-1.1", ""])
def test_other_workers_have_no_host(name: str) -> None:
    assert host_of(name) is None
