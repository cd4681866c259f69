"""References and claims for a CMS that cannot keep them itself."""

from __future__ import annotations

from datetime import timedelta

from stores.sql.stores import SqlStores
from tests.integration.stores.conftest import NOW


def test_reference_is_remembered_and_can_change(stores: SqlStores) -> None:
    assert stores.cms_refs.find("accounts", "12") is None
    stores.cms_refs.save("accounts", "12", "first")
    stores.cms_refs.save("accounts", "12", "second")

    assert stores.cms_refs.find("accounts", "12") == "second"
    assert stores.cms_refs.find("clubs", "12") is None


def test_key_is_claimed_by_one(stores: SqlStores) -> None:
    first = stores.cms_refs.claim("teams", ["a", "b"], now=NOW)
    second = stores.cms_refs.claim("teams", ["b", "c"], now=NOW + timedelta(seconds=5))

    assert (set(first), set(second)) == ({"a", "b"}, {"c"})
    assert set(stores.cms_refs.claim("grades", ["a"], now=NOW)) == {"a"}


def test_claim_lapses_after_a_minute(stores: SqlStores) -> None:
    stores.cms_refs.claim("teams", ["a"], now=NOW)

    assert set(stores.cms_refs.claim("teams", ["a"], now=NOW + timedelta(seconds=59))) == set()
    assert set(stores.cms_refs.claim("teams", ["a"], now=NOW + timedelta(seconds=61))) == {"a"}
