"""Numbers of rows, for metrics."""

from fallow.store.verbs.base import Verbs


class StandingVerbs(Verbs):
    def delivery_counts(self) -> dict[tuple[str, ...], float]:
        return {(row[0], row[1]): row[2] for row in self.session.all("standing_deliveries", {})}

    def notice_counts(self) -> dict[tuple[str, ...], float]:
        return {(row[0], row[1]): row[2] for row in self.session.all("standing_notices", {})}
