-- add_pack
-- The small artifacts of one job that came in one report.
INSERT INTO pack (job_key, data) VALUES (:job_key, :data) RETURNING pack_id;

-- read_packed
-- Artifacts out of packs, by their places in the list; each of it is a pack, where in it the artifact begins (from 1)
-- and its size. Those of packs that are gone are left out.
SELECT w.key, substr(p.data, w.value ->> 1, w.value ->> 2)
  FROM json_each(:wanted) AS w CROSS JOIN pack AS p ON p.pack_id = w.value ->> 0;
