"""What effects are counted with: one query for the groups, one for what came back, one for the steps on the way.

What was sent, given and used is asked of other tables for each source of `subjects`; all else is the same. Values are
bound: `:subject`, `:template`, `:key` (of an issue), the programme, channel, currency and days.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import TextClause, text

from loyalty.effects.subjects import Source

_EXPOSED: Final[Mapping[Source, str]] = {
    "sent": "SELECT member_id FROM sent_campaign_member WHERE campaign_id = :subject",
    "earn": "SELECT member_id FROM earn_campaign_award WHERE campaign_id = :subject",
    "issue": "SELECT member_id FROM benefit WHERE template_id = :template AND issue_key = :key",
    "benefit": "SELECT member_id FROM benefit WHERE template_id = :template",
}
"""Whose spending is the campaign's: who was sent it, or given something by it."""

_OF: Final[Mapping[Source, str]] = {
    "sent": "false",
    "earn": """EXISTS (
        SELECT FROM earn_campaign_award a
        WHERE a.member_id = e.member_id AND a.benefit_id = e.benefit_id AND a.campaign_id = :subject)""",
    "issue": """e.template_id = :template AND EXISTS (
        SELECT FROM benefit b WHERE b.member_id = e.member_id AND b.id = e.benefit_id AND b.issue_key = :key)""",
    "benefit": "e.template_id = :template",
}
"""Which events are of its benefits."""

_KNOWN: Final[Mapping[bool, str]] = {
    True: """
        SELECT DISTINCT p.person FROM member_identity AS i JOIN person AS p USING (member_id)
        WHERE i.programme_id = :programme AND i.kind IN ('customer', 'card') AND i.scope = :channel_code
    """,
    False: """
        SELECT p.person FROM person AS p JOIN member AS m ON m.id = p.member_id
        WHERE m.state = 'active' AND p.member_id = p.person
    """,
}
"""Everybody whom the channel knows, or the programme."""

_CHAIN: Final = """
    chain AS (
        SELECT id, merged_into AS survivor FROM member WHERE merged_into IS NOT NULL AND programme_id = :programme
        UNION ALL
        SELECT chain.id, further.merged_into FROM chain JOIN member AS further ON further.id = chain.survivor
        WHERE further.merged_into IS NOT NULL
    ), person AS (
        SELECT m.id AS member_id, m.id AS person FROM member AS m
        WHERE m.programme_id = :programme AND m.merged_into IS NULL
        UNION ALL
        SELECT chain.id, chain.survivor FROM chain JOIN member AS m ON m.id = chain.survivor AND m.merged_into IS NULL
    )
"""
"""Each member as the person it is now."""

_OWN_USE: Final = """
    SELECT e.member_id, (e.at AT TIME ZONE g.time_zone)::date AS day, coalesce(c.code, '') AS store,
        coalesce(e.clerk, '') AS clerk, t.code AS benefit,
        coalesce((v.definition ->> 'cost_minor')::bigint,
            CASE WHEN coalesce(e.currency, :currency) = :currency THEN e.amount_minor END) AS discount_minor
    FROM benefit_event AS e
    JOIN programme AS g ON g.id = e.programme_id
    JOIN benefit_template AS t ON t.id = e.template_id
    JOIN benefit_version AS v ON v.template_id = e.template_id AND v.version = e.version
    LEFT JOIN channel AS c ON c.id = e.channel_id
    WHERE e.kind = 'used' AND e.programme_id = :programme AND {of} AND NOT EXISTS (
        SELECT FROM benefit_event AS r WHERE r.member_id = e.member_id AND r.benefit_id = e.benefit_id
            AND r.kind = 'returned' AND r.at >= e.at)
"""
"""A use that no refund has undone since. What it cost is what the template says, else what it took off."""

_AWARD_USE: Final = """
    SELECT a.member_id, a.day, c.code AS store, '' AS clerk, '' AS benefit, NULL::bigint AS discount_minor
    FROM earn_campaign_award AS a
    JOIN purchase_order AS o USING (member_id, order_id) JOIN channel AS c ON c.id = o.channel_id
    WHERE a.campaign_id = :subject AND a.taken_back < a.points
"""
"""An earn campaign is used by the purchase that it gives points for, while refunds have left some of them."""


def _use(source: Source) -> str:
    if source == "sent":
        return (
            "SELECT member_id, day, store, clerk, benefit, discount_minor FROM sent_campaign_use"
            " WHERE campaign_id = :subject"
        )
    own = _OWN_USE.format(of=_OF[source])
    return f"{_AWARD_USE} UNION ALL {own}" if source == "earn" else own


def groups_query(source: Source, *, of_channel: bool) -> TextClause:
    """The two groups, one row each: members, buyers, orders, and the sums of what each member spent."""
    return text(f"""
        WITH RECURSIVE {_CHAIN}, sent AS (
            SELECT DISTINCT p.person FROM ({_EXPOSED[source]}) AS s JOIN person AS p USING (member_id)
        ), held AS (
            SELECT DISTINCT p.person FROM held_out AS h JOIN person AS p USING (member_id)
            WHERE h.campaign_id = :subject
        ), known AS (
            {_KNOWN[of_channel]}
        ), people AS (
            SELECT person, true AS exposed FROM sent
            UNION ALL
            SELECT person, false FROM held WHERE person NOT IN (SELECT person FROM sent)
            UNION ALL
            SELECT person, false FROM known
            WHERE NOT EXISTS (SELECT FROM held) AND person NOT IN (SELECT person FROM sent)
        ), used AS (
            SELECT DISTINCT p.person, u.day FROM ({_use(source)}) AS u JOIN person AS p USING (member_id)
        ), bought AS (
            SELECT p.person, sum(t.orders) AS orders, sum(t.amount_minor) AS amount,
                sum(t.amount_minor) FILTER (WHERE used.day IS NOT NULL) AS with_use
            FROM member_trade AS t JOIN person AS p USING (member_id)
            LEFT JOIN used ON used.person = p.person AND used.day = t.day
            WHERE t.programme_id = :programme AND (CAST(:channel AS uuid) IS NULL OR t.channel_id = :channel)
                AND t.currency = :currency AND t.day BETWEEN :first_day AND :last_day
            GROUP BY p.person
        )
        SELECT people.exposed, count(*) AS members, count(*) FILTER (WHERE bought.orders > 0) AS buyers,
            coalesce(sum(bought.orders), 0)::bigint AS orders, coalesce(sum(bought.amount), 0)::bigint AS total_minor,
            coalesce(sum(bought.amount * bought.amount), 0)::numeric AS squares,
            coalesce(sum(bought.with_use), 0)::bigint AS with_use, bool_or(EXISTS (SELECT FROM held)) AS held_out
        FROM people LEFT JOIN bought USING (person) GROUP BY people.exposed
    """)  # noqa: S608  (constants; values are bound)


def uses_query(source: Source) -> TextClause:
    """What came back, by store, clerk, benefit and person."""
    return text(f"""
        WITH RECURSIVE {_CHAIN}
        SELECT u.store, u.clerk, u.benefit, p.person, count(*) AS uses, sum(u.discount_minor)::bigint AS discount_minor
        FROM ({_use(source)}) AS u JOIN person AS p USING (member_id)
        GROUP BY u.store, u.clerk, u.benefit, p.person
    """)  # noqa: S608  (constants; values are bound)


def steps_query(source: Source) -> TextClause:
    """How many benefits, of how many members, came to each step."""
    return text(f"""
        WITH RECURSIVE {_CHAIN}
        SELECT e.kind, count(DISTINCT e.benefit_id) AS benefits, count(DISTINCT p.person) AS members
        FROM benefit_event AS e JOIN person AS p USING (member_id)
        WHERE e.programme_id = :programme AND {_OF[source]} GROUP BY e.kind
    """)  # noqa: S608  (constants; values are bound)


def points_query(source: Source) -> TextClause:
    """The points that an earn campaign gave and refunds left; else those for purchases of the exposed meanwhile."""
    if source == "earn":
        return text("""
            SELECT coalesce(sum(points - taken_back), 0)::bigint FROM earn_campaign_award
            WHERE campaign_id = :subject AND unit = 'points'
        """)
    return text(f"""
        WITH RECURSIVE {_CHAIN}, sent AS (
            SELECT DISTINCT p.person FROM ({_EXPOSED[source]}) AS s JOIN person AS p USING (member_id)
        )
        SELECT coalesce(sum(e.points - e.taken_back), 0)::bigint
        FROM purchase_order AS o JOIN order_earning AS e USING (member_id, order_id) JOIN person AS p USING (member_id)
        JOIN sent ON sent.person = p.person
        JOIN programme AS g ON g.id = o.programme_id
        WHERE o.programme_id = :programme AND (CAST(:channel AS uuid) IS NULL OR o.channel_id = :channel)
            AND e.unit = 'points' AND (o.placed_at AT TIME ZONE g.time_zone)::date BETWEEN :first_day AND :last_day
    """)  # noqa: S608  (constants; values are bound)
