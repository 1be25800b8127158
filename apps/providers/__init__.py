"""Who answers: providers, models, targets and adapters. The only door to a paid call."""
