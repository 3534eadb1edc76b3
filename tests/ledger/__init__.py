"""Facts about gonogo.ledger."""
