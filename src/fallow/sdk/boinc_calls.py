"""The part of Client that is about BOINC: keys with which clients attach, and the machines that did."""

from fallow.protocols.rest.boinc import (
    BoincKey,
    HostList,
    HostView,
    NewWorkerKey,
    WorkerKeyList,
    WorkerKeyRequest,
    WorkerKeyView,
)
from fallow.sdk.fields import parsed, safe
from fallow.sdk.operations import calls
from fallow.sdk.transport import Transport


class BoincCalls:
    """BOINC keys, keys of single machines, machines. account_id: for operators; else one's own."""

    _transport: Transport

    @calls("GET /api/boinc/key")
    def boinc_key(self, account_id: str | None = None) -> BoincKey:
        """The key with which BOINC clients attach, and the command that does it."""
        return self._transport.ask(BoincKey, "GET", "/api/boinc/key", account_id=account_id)

    @calls("POST /api/boinc/key/renew")
    def renew_boinc_key(self, account_id: str | None = None) -> BoincKey:
        """A new key; the old one opens nothing any more."""
        return self._transport.ask(BoincKey, "POST", "/api/boinc/key/renew", account_id=account_id)

    @calls("GET /api/boinc/worker-keys")
    def worker_keys(self, account_id: str | None = None) -> list[WorkerKeyView]:
        """Keys of single machines."""
        return self._transport.ask(WorkerKeyList, "GET", "/api/boinc/worker-keys", account_id=account_id).keys

    @calls("POST /api/boinc/worker-keys")
    def add_worker_key(self, name: str, account_id: str | None = None) -> NewWorkerKey:
        """A key for one machine, the first that uses it; its `key` is shown this once."""
        request = parsed(WorkerKeyRequest, {"name": name, "account_id": account_id})
        return self._transport.ask(NewWorkerKey, "POST", "/api/boinc/worker-keys", request)

    @calls("DELETE /api/boinc/worker-keys/{key_id}")
    def revoke_worker_key(self, key_id: str, account_id: str | None = None) -> None:
        """The machine that has it gets no work any more."""
        query = {"account_id": account_id} if account_id else {}
        self._transport.send("DELETE", f"/api/boinc/worker-keys/{safe(key_id)}", query=query)

    @calls("GET /api/boinc/hosts")
    def boinc_hosts(self, account_id: str | None = None, limit: int = 100) -> list[HostView]:
        """Machines with a BOINC client, newest first: all for operators, one's own for others."""
        return self._transport.ask(HostList, "GET", "/api/boinc/hosts", account_id=account_id, limit=limit).hosts
