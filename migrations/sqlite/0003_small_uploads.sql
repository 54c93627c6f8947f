-- Small uploads need no file: what a session has received is kept with it while it is little.
alter table uploads add column bytes blob;

-- 1: the blob store may have something of the session, to be removed when it is over. Set before
-- anything is there. Sessions from before this step may.
alter table uploads add column stored integer not null default 1 check (stored in (0, 1));
