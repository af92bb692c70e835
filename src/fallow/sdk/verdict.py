"""What a verification found."""

from dataclasses import dataclass, field

OUTPUT, ERRORS, MANIFEST = "output.jsonl", "errors.jsonl", "manifest.json"
FINDINGS_MAX = 50


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written. line: of the file, from 1; None when it is not known."""

    file: str
    line: int | None
    message: str


@dataclass(slots=True)
class Verdict:
    """findings: the first FINDINGS_MAX; more: how many are not listed. Good when there are none."""

    job_id: str = ""
    items: int = 0
    error_items: int = 0
    chunks: int = 0
    receipts: int = 0
    workers: int = 0
    size_bytes: int = 0
    findings: list[Finding] = field(default_factory=list)
    more: int = 0

    @property
    def good(self) -> bool:
        return not self.findings

    def add(self, file: str, line: int | None, message: str) -> None:
        """Note something wrong."""
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(file, line, message))
        else:
            self.more += 1

    def blames(self, file: str) -> bool:
        """Whether something in this file is named already."""
        return any(finding.file == file for finding in self.findings)


def said(text: str) -> str:
    """Foreign text, safe on a terminal and never long."""
    plain = ascii(text)[1:-1]
    return plain if len(plain) <= 100 else plain[:97] + "..."
