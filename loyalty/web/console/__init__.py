"""The console: what CRM and administration see of members, points, items and rules, and the little they do by hand."""

from __future__ import annotations

from litestar import Router

from loyalty.web.console import (
    alerts,
    benefits,
    books,
    campaigns,
    codes,
    effects,
    links,
    member,
    members,
    overview,
    packing,
    prints,
    rules,
    scans,
    segments,
    tiers,
    trace,
    trace_wholes,
)
from loyalty.web.staff.person import PAGE_ERRORS

router = Router(
    path="/console",
    route_handlers=[
        overview.show_overview,
        members.show_members,
        members.find_members,
        member.show_member,
        member.reveal_member,
        member.show_member_ledger,
        member.show_member_orders,
        member.adjust_points,
        member.show_order,
        member.confirm_unmerge,
        member.undo_merge,
        books.show_books,
        books.take_journal,
        codes.show_codes,
        codes.mint_codes,
        codes.move_range,
        *prints.HANDLERS,
        *trace.HANDLERS,
        *trace_wholes.HANDLERS,
        *alerts.HANDLERS,
        *scans.HANDLERS,
        *packing.HANDLERS,
        links.show_products,
        links.show_links,
        links.add_one,
        links.change_one,
        *campaigns.HANDLERS,
        *segments.HANDLERS,
        *effects.HANDLERS,
        *benefits.HANDLERS,
        rules.show_rules,
        *tiers.HANDLERS,
        rules.show_catalogue,
    ],
    exception_handlers=PAGE_ERRORS,
    include_in_schema=False,
)
