-- +goose Up

-- What has been imported from other sites, so that nothing comes twice, and what refers to it finds it.
CREATE TABLE imports (
  source text   NOT NULL COLLATE "C", -- the name of the import
  item   text   NOT NULL COLLATE "C", -- user/, room/, message/ or pin/ and the key there
  id     bigint NOT NULL,             -- of the user, the room or the event here
  PRIMARY KEY (source, item)
);
