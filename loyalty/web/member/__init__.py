"""Shoppers' pages: the item behind a code, joining, the member's card, the programme's front page."""

from __future__ import annotations

from litestar import Router

from loyalty.web.member import card, draws, home, item, join, missions, share

router = Router(
    path="/",
    route_handlers=[
        home.show_home,
        home.show_terms,
        item.show_item,
        item.claim_item,
        item.show_claimed,
        share.show_share_picture,
        join.ask_phone,
        join.send_to_phone,
        join.ask_code,
        join.check_code,
        join.send_again,
        join.ask_terms,
        join.finish,
        card.show_card,
        missions.collect_reward,
        draws.enter_draw,
        draws.show_proof,
        card.show_history,
        card.show_qr,
        card.show_settings,
        card.save_settings,
        card.sign_out,
    ],
    include_in_schema=False,
)
