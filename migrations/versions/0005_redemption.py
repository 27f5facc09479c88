"""What points are worth and what they buy: policies, catalogue, and redemptions at a till."""

from __future__ import annotations

from alembic import op

revision = "0005_redemption"
down_revision = "0004_tiers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_policy()
    _create_catalogue()
    _create_redemptions()


def _create_policy() -> None:
    op.execute("""
        CREATE TABLE redemption_policy (
            programme_id uuid NOT NULL,
            currency text NOT NULL,
            version integer NOT NULL CONSTRAINT redemption_policy_version_check CHECK (version > 0),
            step_points bigint NOT NULL CONSTRAINT redemption_policy_step_points_check CHECK (step_points > 0),
            step_amount_minor bigint NOT NULL
                CONSTRAINT redemption_policy_step_amount_check CHECK (step_amount_minor > 0),
            minimum_points bigint NOT NULL CONSTRAINT redemption_policy_minimum_check CHECK (minimum_points > 0),
            max_share_bp integer NOT NULL
                CONSTRAINT redemption_policy_share_check CHECK (max_share_bp BETWEEN 1 AND 10000),
            published_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT redemption_policy_pkey PRIMARY KEY (programme_id, currency, version)
        )
    """)


def _create_catalogue() -> None:
    op.execute("""
        CREATE TABLE catalogue_item (
            id uuid CONSTRAINT catalogue_item_pkey PRIMARY KEY,
            programme_id uuid NOT NULL,
            code text NOT NULL,
            name jsonb NOT NULL,
            kind text NOT NULL CONSTRAINT catalogue_item_kind_check CHECK (kind IN ('item', 'coupon')),
            points_cost bigint NOT NULL CONSTRAINT catalogue_item_cost_check CHECK (points_cost > 0),
            coupon_template_code text,
            stock bigint CONSTRAINT catalogue_item_stock_check CHECK (stock >= 0),
            active boolean NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT catalogue_item_programme_id_code_key UNIQUE (programme_id, code),
            CONSTRAINT catalogue_item_template_check CHECK ((kind = 'coupon') = (coupon_template_code IS NOT NULL))
        )
    """)


def _create_redemptions() -> None:
    op.execute("""
        CREATE TABLE redemption (
            member_id uuid NOT NULL,
            id uuid NOT NULL,
            programme_id uuid NOT NULL,
            channel_id uuid NOT NULL,
            clerk text,
            kind text NOT NULL CONSTRAINT redemption_kind_check CHECK (kind IN
                ('money_off', 'catalogue', 'coupon', 'benefit')),
            state text NOT NULL CONSTRAINT redemption_state_check
                CHECK (state IN ('held', 'captured', 'voided', 'refunded', 'expired')),
            points bigint NOT NULL CONSTRAINT redemption_points_check CHECK (points >= 0),
            amount_minor bigint NOT NULL CONSTRAINT redemption_amount_check CHECK (amount_minor >= 0),
            currency text,
            basket_minor bigint,
            policy_version integer,
            catalogue_item_id uuid,
            benefit_member_id uuid,
            benefit_id uuid,
            benefit_template_id uuid,
            benefit_version integer,
            checkout_id uuid,
            name jsonb,
            begun_at timestamptz NOT NULL,
            hold_expires_at timestamptz NOT NULL,
            receipt_number text,
            captured_at timestamptz,
            capture_sequence bigint,
            refunded_points bigint NOT NULL DEFAULT 0,
            refunded_minor bigint NOT NULL DEFAULT 0,
            closed_at timestamptz,
            CONSTRAINT redemption_pkey PRIMARY KEY (member_id, id),
            CONSTRAINT redemption_refunded_check
                CHECK (refunded_points BETWEEN 0 AND points AND refunded_minor BETWEEN 0 AND amount_minor)
        ) WITH (fillfactor = 90)
    """)
    op.execute("CREATE INDEX redemption_id_idx ON redemption (id)")
    op.execute("""
        CREATE INDEX redemption_receipt_idx ON redemption (channel_id, receipt_number)
        WHERE receipt_number IS NOT NULL
    """)
    op.execute("CREATE INDEX redemption_channel_id_begun_at_idx ON redemption (channel_id, begun_at)")
    op.execute("CREATE INDEX redemption_checkout_id_idx ON redemption (checkout_id) WHERE checkout_id IS NOT NULL")
    op.execute("CREATE INDEX redemption_stale_idx ON redemption (hold_expires_at) WHERE state = 'held'")
    op.execute("""
        CREATE TABLE redemption_refund (
            member_id uuid NOT NULL,
            redemption_id uuid NOT NULL,
            number integer NOT NULL,
            points bigint NOT NULL,
            amount_minor bigint NOT NULL,
            posting_sequence bigint,
            clerk text,
            recorded_at timestamptz NOT NULL,
            CONSTRAINT redemption_refund_pkey PRIMARY KEY (member_id, redemption_id, number)
        )
    """)
    op.execute("""
        CREATE TABLE redemption_request (
            member_id uuid NOT NULL,
            key text NOT NULL,
            programme_id uuid NOT NULL,
            request_hash bytea NOT NULL,
            answer jsonb,
            recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            CONSTRAINT redemption_request_pkey PRIMARY KEY (member_id, key)
        )
    """)


def downgrade() -> None:
    for table in (
        "redemption_request",
        "redemption_refund",
        "redemption",
        "catalogue_item",
        "redemption_policy",
    ):
        op.execute(f"DROP TABLE {table}")
