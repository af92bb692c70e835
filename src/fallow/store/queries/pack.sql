-- add_pack
-- The small artifacts of one job that came in one report.
INSERT INTO pack (job_key, data) VALUES (:job_key, :data) RETURNING pack_id;

-- read_pack
-- One artifact out of a pack; places count from 1.
SELECT substr(data, CAST(:place AS integer), CAST(:size_bytes AS integer)) FROM pack WHERE pack_id = :pack_id;
