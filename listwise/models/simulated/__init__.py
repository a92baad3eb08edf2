"""A ranker that is simulated from judgements, to study strategies, votes, routing and budgets without spending."""
