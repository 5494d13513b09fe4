"""admit: who may send and ask."""
