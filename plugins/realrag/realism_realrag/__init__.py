"""RealRAG (Lyu et al. 2025): retrieval that makes up for what a generator does not know."""
