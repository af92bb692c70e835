"""The stores of tests/store, for what stands on them."""

from tests.store.conftest import store, store_url

__all__ = ["store", "store_url"]
