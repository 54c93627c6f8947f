-- Who asks, and what they may do where.

-- People and programs. Their ids are never given twice: a token may outlive the account it names.
create table accounts (
  id integer primary key autoincrement,
  kind text not null check (kind in ('user', 'robot')),
  name text not null unique,
  -- In the form that its algorithm gives it; null: no password lets it in.
  password_hash text,
  is_admin integer not null default 0 check (is_admin in (0, 1)),
  disabled_at integer,
  -- Grows with what lets the account in: bearer tokens of an earlier epoch are over.
  epoch integer not null default 0,
  created_at integer not null,
  created_by text not null
) strict;

create index accounts_kind_idx on accounts (kind, name);

create index accounts_password_idx on accounts (name) where password_hash is not null;

create table account_groups (
  id integer primary key autoincrement,
  name text not null unique,
  created_at integer not null,
  created_by text not null
) strict;

create table group_members (
  group_id integer not null references account_groups (id) on delete cascade,
  account_id integer not null references accounts (id) on delete cascade,
  primary key (group_id, account_id)
) strict, without rowid;

create index group_members_account_idx on group_members (account_id, group_id);

-- What stands in place of a password. personal: made by a person, for a program. refresh: what docker
-- login keeps instead of the password it was given.
create table tokens (
  id text primary key,
  account_id integer not null references accounts (id) on delete cascade,
  kind text not null check (kind in ('personal', 'refresh')),
  -- SHA-256 of the token: it is random enough to need no more.
  secret_hash text not null unique,
  description text not null,
  -- JSON: what of the account's rights it has; null for all.
  scope text,
  created_at integer not null,
  created_by text not null,
  expires_at integer,
  last_used_at integer
) strict, without rowid;

create index tokens_account_created_idx on tokens (account_id, kind, created_at);

create index tokens_account_idx on tokens (account_id, kind, id);

create index tokens_kind_idx on tokens (kind, id);

create index tokens_expires_idx on tokens (kind, expires_at) where expires_at is not null;

create table grants (
  id integer primary key autoincrement,
  subject text not null check (subject in ('account', 'group', 'signed-in', 'anonymous')),
  account_id integer references accounts (id) on delete cascade,
  group_id integer references account_groups (id) on delete cascade,
  pattern text not null,
  -- With commas between them.
  actions text not null,
  created_at integer not null,
  created_by text not null,
  check ((subject = 'account') = (account_id is not null)),
  check ((subject = 'group') = (group_id is not null))
) strict;

create unique index grants_subject_idx
on grants (subject, coalesce(account_id, 0), coalesce(group_id, 0), pattern);

create index grants_account_idx on grants (account_id) where account_id is not null;

create index grants_group_idx on grants (group_id) where group_id is not null;

create index grants_public_idx on grants (subject) where subject in ('signed-in', 'anonymous');

-- The first component of names of repositories.
create table namespaces (
  name text primary key,
  owner_account_id integer references accounts (id) on delete set null,
  owner_group_id integer references account_groups (id) on delete set null,
  -- Of repositories that come to be in it.
  default_visibility text not null check (default_visibility in ('private', 'public')),
  created_at integer not null,
  created_by text not null,
  check (owner_account_id is null or owner_group_id is null)
) strict, without rowid;

create index namespaces_account_idx on namespaces (owner_account_id, name)
where owner_account_id is not null;

create index namespaces_group_idx on namespaces (owner_group_id, name)
where owner_group_id is not null;

alter table repositories add column visibility text not null default 'private'
check (visibility in ('private', 'public'));

create index repositories_public_idx on repositories (name)
where listed = 1 and visibility = 'public';

-- What bearer tokens are signed with.
create table signing_keys (
  id text primary key,
  -- A private key as JSON (JWK, RFC 7517).
  private_key text not null,
  created_at integer not null,
  -- Until when what it has signed is still believed; null for the one that signs.
  valid_until integer
) strict, without rowid;

-- Grows with everything about accounts, grants and namespaces that may change what somebody may do, so that
-- whoever keeps an answer in memory knows when it is out of date. Whether a repository is public is looked up
-- each time.
create table access_version (
  id integer primary key check (id = 1),
  version integer not null
) strict;

insert into access_version (id, version) values (1, 1);

create trigger accounts_inserted after insert on accounts begin
  update access_version set version = version + 1;
end;

create trigger accounts_changed after update of is_admin, disabled_at, epoch, password_hash on accounts begin
  update access_version set version = version + 1;
end;

create trigger accounts_deleted after delete on accounts begin
  update access_version set version = version + 1;
end;

create trigger group_members_inserted after insert on group_members begin
  update access_version set version = version + 1;
end;

create trigger group_members_deleted after delete on group_members begin
  update access_version set version = version + 1;
end;

-- Each docker login may forget refresh tokens, and nothing is decided by them but the next login.
create trigger tokens_deleted after delete on tokens when old.kind = 'personal' begin
  update access_version set version = version + 1;
end;

create trigger grants_inserted after insert on grants begin
  update access_version set version = version + 1;
end;

create trigger grants_changed after update on grants begin
  update access_version set version = version + 1;
end;

create trigger grants_deleted after delete on grants begin
  update access_version set version = version + 1;
end;

create trigger namespaces_inserted after insert on namespaces begin
  update access_version set version = version + 1;
end;

create trigger namespaces_changed after update on namespaces begin
  update access_version set version = version + 1;
end;

create trigger namespaces_deleted after delete on namespaces begin
  update access_version set version = version + 1;
end;

create trigger signing_keys_inserted after insert on signing_keys begin
  update access_version set version = version + 1;
end;

create trigger signing_keys_deleted after delete on signing_keys begin
  update access_version set version = version + 1;
end;
