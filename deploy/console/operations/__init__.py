"""Operations: how the line is, and how it was."""
