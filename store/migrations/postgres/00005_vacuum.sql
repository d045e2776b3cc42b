-- +goose Up

-- The log is only added to, and by default is not vacuumed before it has grown by a fifth. What is not vacuumed is
-- looked up in the table for each id that a stream's read finds in an index.
ALTER TABLE events SET (autovacuum_vacuum_insert_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.02);
