"""Review: what sellers and model disagree about, before a person who decides."""
