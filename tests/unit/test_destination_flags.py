from pathlib import Path

import pytest

from transfer.cli.destination_flags import DestinationFlags
from transfer.engine.second_store import is_second
from transfer.model.errors import UsageError
from transfer.model.options import AddressingStyle, ConnectionOptions

BASE = ConnectionOptions(
    endpoint_url="http://here",
    profile="mine",
    region="here-1",
    addressing_style=AddressingStyle.VIRTUAL,
    sign_request=False,
    verify_tls=False,
    stall_seconds=5.0,
)


def test_nothing_given_is_no_second_store() -> None:
    assert DestinationFlags().options(BASE) is None
    assert not is_second(BASE, None)


def test_another_server_is_asked_with_the_same_credentials_and_described_by_its_own_options() -> None:
    assert DestinationFlags(dest_endpoint_url="http://there").options(BASE) == ConnectionOptions(
        endpoint_url="http://there", profile="mine", stall_seconds=5.0
    )


def test_a_profile_of_its_own_says_all_of_it_whatever_the_environment_says() -> None:
    assert DestinationFlags(dest_profile="theirs").options(BASE) == ConnectionOptions(
        profile="theirs", stall_seconds=5.0, heeds_environment=False
    )


def test_a_region_alone_is_the_same_server() -> None:
    base = ConnectionOptions(endpoint_url="http://here", profile="mine", region="here-1", ca_bundle="/ca.pem")
    found = DestinationFlags(dest_region="there-1").options(base)
    assert found is not None
    assert found.region == "there-1"
    assert not is_second(base, found)


def test_writing_is_signed_where_reading_is_not() -> None:
    base = ConnectionOptions(sign_request=False)
    found = DestinationFlags(dest_region="there-1").options(base)
    assert found is not None
    assert found.sign_request
    assert is_second(base, found)


@pytest.mark.parametrize("base", [BASE, ConnectionOptions(ca_bundle="/ca.pem")])
def test_what_is_trusted_is_what_was_said_last(base: ConnectionOptions) -> None:
    bundle = DestinationFlags(dest_ca_bundle=Path("/other.pem")).options(base)
    assert bundle is not None
    assert (bundle.verify_tls, bundle.ca_bundle) == (True, "/other.pem")
    anything = DestinationFlags(dest_no_verify_tls=True).options(base)
    assert anything is not None
    assert (anything.verify_tls, anything.ca_bundle) == (False, None)


def test_trust_in_two_ways_is_refused() -> None:
    with pytest.raises(UsageError) as failure:
        DestinationFlags(dest_ca_bundle=Path("/ca.pem"), dest_no_verify_tls=True).options(BASE)
    assert failure.value.subject == "--dest-ca-bundle"
