"""Benefits in the hands of a CRM manager: written as sentences, tried on members, published, stocked, given, followed.

`form` is a benefit as the texts of its form, `editing` the pages of that form, `page` the page of one benefit, and
`figures`, `giving` and `trying` what is done there.
"""

from __future__ import annotations

from typing import Final

from loyalty.web.console.benefits import editing, figures, giving, listing, page, trying

HANDLERS: Final = (
    listing.show_benefits,
    listing.save_shared_budget,
    editing.choose_kind,
    editing.create_benefit,
    editing.edit_benefit,
    editing.save_benefit,
    page.show_benefit,
    figures.change_benefit,
    figures.import_file,
    giving.give_benefit,
    giving.steer_issue,
    giving.show_issues,
    trying.try_member,
    trying.take_back,
)
