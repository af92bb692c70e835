-- standing_deliveries
-- How many deliveries of each channel are in each state.
SELECT d.channel, d.state, count(*) FROM delivery AS d GROUP BY d.channel, d.state;

-- standing_notices
-- How many notices of each kind there are, read or not.
SELECT n.kind, CASE WHEN n.read_at IS NULL THEN 'unread' ELSE 'read' END AS seen, count(*)
  FROM notice AS n GROUP BY n.kind, CASE WHEN n.read_at IS NULL THEN 'unread' ELSE 'read' END;
