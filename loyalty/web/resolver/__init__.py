"""The GS1 Digital Link resolver: what a code on a product leads to, for people and for programs.

A shopper's browser at an item's address gets the item's page (`loyalty.web.member.item`); everything else under a GS1
key is answered here. `front_door` tells them apart.
"""

from __future__ import annotations

from litestar import Router

from loyalty.web.resolver import answers, description, pages
from loyalty.web.resolver.description import PATH as DESCRIPTION
from loyalty.web.resolver.front_door import ROUTE

__all__ = ["DESCRIPTION", "ROUTE", "router"]

router = Router(
    path="/",
    route_handlers=[
        answers.answer_link,
        description.describe_resolver,
        pages.show_item_page,
        pages.head_item_page,
        pages.show_product,
        pages.head_product,
    ],
    include_in_schema=False,
)
