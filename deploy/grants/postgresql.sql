-- What each process of Shelver may do with the store, and no more. The roles are there already, each with a password of
-- its own (CREATE ROLE shelver_worker LOGIN; and so on). Run this as the owner of the tables, whom `shelver-worker
-- migrate` works as, after the first migration, after each later one, which makes the views anew, and after a restore.

-- All read all: analysts, the exporter, probes and `status` need nothing else, and pg_dump the sequences.
GRANT SELECT ON ALL TABLES IN SCHEMA public
  TO shelver_reader, shelver_worker, shelver_producer, shelver_console, shelver_trainer;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO shelver_reader;

GRANT INSERT, UPDATE, DELETE ON predictions, candidates, rejects TO shelver_worker;
GRANT INSERT, UPDATE, DELETE ON cursors TO shelver_producer;
GRANT INSERT, UPDATE, DELETE ON verdicts TO shelver_console;
-- `shelver-trainer publish` registers a model and its categories.
GRANT INSERT, UPDATE ON models, categories TO shelver_trainer;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO shelver_trainer;
