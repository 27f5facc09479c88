"""The ledger and its model do the same, whatever is asked of them and whenever."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.property.ledger.batches import Batches
from tests.property.ledger.driving import Ledger


@pytest.fixture
def machine(module_database_url: str) -> Iterator[type[Batches]]:
    Batches.ledger = Ledger(module_database_url)
    Batches.steps.clear()
    yield Batches
    Batches.ledger.close()


def follow(machine: type[Batches], *, examples: int, steps: int) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    chosen = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=checks, print_blob=True
    )
    run_state_machine_as_test(machine, settings=chosen)
    print(f"{machine.steps.total()} postings:", *sorted(machine.steps.items()), sep="\n")


def test_the_ledger_does_what_its_model_does(machine: type[Batches]) -> None:
    follow(machine, examples=200, steps=60)


@pytest.mark.long
def test_the_ledger_does_what_its_model_does_for_long(machine: type[Batches]) -> None:
    follow(machine, examples=3000, steps=60)
