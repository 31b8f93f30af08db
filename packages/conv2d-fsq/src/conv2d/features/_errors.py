"""The error that every broken contract of this wheel raises."""


class ContractError(ValueError):
    """An argument does not keep the contract: the message says which, the rule, and what came instead."""
