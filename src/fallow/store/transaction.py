"""All verbs of one transaction together: what port.Tx promises."""

from fallow.store.ledger import Specs
from fallow.store.session import Session
from fallow.store.verbs.accounts import AccountVerbs
from fallow.store.verbs.attempts import AttemptVerbs
from fallow.store.verbs.boinc_hosts import BoincHostVerbs
from fallow.store.verbs.boinc_people import BoincPeopleVerbs
from fallow.store.verbs.boinc_submit import BoincSubmitVerbs
from fallow.store.verbs.charts import ChartVerbs
from fallow.store.verbs.credit import CreditVerbs
from fallow.store.verbs.deliveries import DeliveryVerbs
from fallow.store.verbs.feeds import FeedVerbs
from fallow.store.verbs.fleet import FleetVerbs
from fallow.store.verbs.live_logs import LiveLogVerbs
from fallow.store.verbs.notices import NoticeVerbs
from fallow.store.verbs.openai import OpenaiVerbs
from fallow.store.verbs.packs import PackVerbs
from fallow.store.verbs.people import PeopleVerbs
from fallow.store.verbs.standing import StandingVerbs
from fallow.store.verbs.story import StoryVerbs
from fallow.store.verbs.workers import WorkerVerbs


class Transaction(
    AttemptVerbs,
    AccountVerbs,
    WorkerVerbs,
    StoryVerbs,
    PackVerbs,
    PeopleVerbs,
    FleetVerbs,
    StandingVerbs,
    NoticeVerbs,
    DeliveryVerbs,
    ChartVerbs,
    OpenaiVerbs,
    FeedVerbs,
    LiveLogVerbs,
    BoincPeopleVerbs,
    BoincHostVerbs,
    CreditVerbs,
    BoincSubmitVerbs,
):
    """Used by one thread, gone at the end of its block."""

    def __init__(self, session: Session, specs: Specs, plan_ahead: int) -> None:
        super().__init__(session, specs, plan_ahead)
        self._chunks_now = {}
        self._attempts_now = {}
