from __future__ import annotations

from loyalty.demo.brand import CHANNELS, CLERKS, PASSWORD, REWARDS, STAFF, STORES, products
from loyalty.items.gtin import normalise_gtin


def test_the_catalogue_has_forty_products_with_true_gtins_of_the_prefix_for_demonstrations() -> None:
    gtins = [product.gtin for product in products()]
    assert len(set(gtins)) == len({product.sku for product in products()}) == 40
    assert [normalise_gtin(gtin) for gtin in gtins] == gtins
    assert all(gtin.startswith("0952") for gtin in gtins)


def test_every_product_has_both_languages_a_price_and_points_only_where_it_can_be_claimed() -> None:
    for product in products():
        assert product.zh
        assert product.en.isascii()
        assert product.about_zh
        assert product.about_en
        assert product.price_minor > 0
        assert product.popularity > 0
        assert product.points > 0


def test_every_store_has_a_clerk_and_everybody_can_sign_in() -> None:
    assert set(CLERKS) == set(STORES) < set(CHANNELS)
    assert len({person.username for person in STAFF}) == len(STAFF)
    assert len(PASSWORD) >= 10


def test_the_first_reward_is_the_cheapest_which_everybody_falls_back_to() -> None:
    assert min(REWARDS, key=lambda reward: reward.points) is REWARDS[0]
