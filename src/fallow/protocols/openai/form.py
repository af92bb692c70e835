"""OpenAI's form of batches, whole: what control's BatchForm asks for."""

from collections.abc import Mapping

from fallow.core.batches import BatchRules, Published
from fallow.core.submission import Submission
from fallow.core.words import JobState
from fallow.protocols.openai import answers, requests
from fallow.protocols.rest.templates import batch_submission, container_submission


class OpenaiForm:
    """Translates, and keeps nothing."""

    def model_of(self, head: bytes) -> str:
        """See requests.model_of()."""
        return requests.model_of(head)

    def checker(self, rules: BatchRules) -> requests.RequestLines:
        """For the lines of one file."""
        return requests.RequestLines(rules)

    def submission(self, template: Mapping[str, object], options: Mapping[str, object]) -> Submission:
        """See templates.batch_submission()."""
        return batch_submission(template, options)

    def container(self, options: Mapping[str, object]) -> Submission:
        """See templates.container_submission()."""
        return container_submission(options)

    def answered(self, batch_id: str, item: int, request: bytes, answer: bytes, *, failed: bool) -> Published:
        """See answers.answered()."""
        return answers.answered(batch_id, item, request, answer, failed=failed)

    def unanswered(self, batch_id: str, item: int, request: bytes, ending: JobState) -> Published:
        """See answers.unanswered()."""
        return answers.unanswered(batch_id, item, request, ending)
