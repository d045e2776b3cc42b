-- +goose Up

-- What has been imported from other sites, so that nothing comes twice, and what refers to it finds it.
CREATE TABLE imports (
  source TEXT    NOT NULL,            -- the name of the import
  item   TEXT    NOT NULL,            -- user/, room/, message/ or pin/ and the key there
  id     INTEGER NOT NULL,            -- of the user, the room or the event here
  PRIMARY KEY (source, item)
) WITHOUT ROWID;
