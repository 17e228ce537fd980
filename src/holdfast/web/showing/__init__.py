"""How pages show things: words, charts, steps, evidence, files of tables."""
