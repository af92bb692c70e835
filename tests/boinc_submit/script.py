"""A script that speaks to BOINC's submit calls as BOINC's bindings do."""

from dataclasses import dataclass
from hashlib import md5
from xml.etree import ElementTree

import httpx2

from tests.boinc_submit.recorded import KEY


@dataclass(frozen=True)
class Script:
    """url: of the project, with its slash at the end."""

    url: str
    key: str = KEY

    def post(self, request: bytes) -> httpx2.Response:
        """As the Python binding sends it."""
        return httpx2.post(f"{self.url}submit_rpc_handler.php", data={"request": request.decode()}, timeout=60)

    def call(self, op: str, inner: str = "") -> ElementTree.Element:
        answer = self.post(f"<{op}><authenticator>{self.key}</authenticator>{inner}</{op}>".encode())
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/xml")
        root = ElementTree.fromstring(answer.text.split("?>", 1)[1])
        assert root.tag == op, answer.text
        return root

    def error_of(self, op: str, inner: str = "") -> tuple[int, str]:
        root = self.call(op, inner)
        assert root.find("error") is not None, ElementTree.tostring(root)
        return int(root.findtext("error/error_num", "0")), root.findtext("error/error_msg", "")

    def job_file(self, op: str, inner: str, files: dict[str, bytes] | None = None) -> httpx2.Response:
        request = f"<{op}><authenticator>{self.key}</authenticator>{inner}</{op}>"
        sent = {f"file_{place}": (name, data) for place, (name, data) in enumerate((files or {}).items())}
        return httpx2.post(f"{self.url}job_file.php", data={"request": request}, files=sent or None, timeout=60)

    def upload(self, files: dict[str, bytes]) -> None:
        names = "".join(f"<phys_name>{name}</phys_name>" for name in files)
        answer = self.job_file("upload_files", f"<batch_id>0</batch_id><delete_time>0</delete_time>{names}", files)
        assert "<success/>" in answer.text, answer.text

    def output(self, key: str, what: str, **query: object) -> httpx2.Response:
        """key: the authenticator that signs."""
        signed = md5(f"{key}{what}".encode(), usedforsecurity=False).hexdigest()
        params = {name: str(value) for name, value in query.items()}
        return httpx2.get(f"{self.url}get_output.php", params={**params, "auth_str": signed}, timeout=60)
