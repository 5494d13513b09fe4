"""From a tree to answers: what the engine is asked, and what is done with what it gives."""
