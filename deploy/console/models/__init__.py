"""Models: how good each version is, how two differ, whether what comes in drifts."""
