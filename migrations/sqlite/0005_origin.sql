-- Which registry this is, wherever its data are copied to: a backup must not mix two.
create table origin (
  id integer primary key check (id = 1),
  registry text not null,
  created_at integer not null
) strict;

insert into origin (id, registry, created_at)
values (1, lower(hex(randomblob(16))), cast(unixepoch('subsec') * 1000 as integer));
