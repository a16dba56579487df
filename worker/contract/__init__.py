"""What crosses a wire or a file: the only part of worker that producer, trainer, migrations and deploy import."""
