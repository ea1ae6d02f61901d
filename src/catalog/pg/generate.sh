#!/usr/bin/env bash
# Writes the tables beside this script from a running PostgreSQL 15 whose distribution has the usual extensions; `psql` finds the
# server by its own environment (PGHOST, PGUSER ...) and needs an empty database. Run again for another version, it shows what changed.
set -euo pipefail
cd "$(dirname "$0")"
extensions="btree_gin btree_gist citext cube dblink earthdistance fuzzystrmatch hstore intarray isn lo ltree
    pg_stat_statements pg_trgm pgcrypto postgres_fdw seg tablefunc unaccent uuid-ossp"
for table in types casts operators functions settings; do
    psql -XAtq -v ON_ERROR_STOP=1 -f "$table.sql" >"$table.tsv"
done
{
    echo "BEGIN;"
    for extension in $extensions; do echo "CREATE EXTENSION \"$extension\";"; done
    cat extensions.sql
    echo "; ROLLBACK;"
} | psql -XAtq -v ON_ERROR_STOP=1 >extensions.tsv
git diff --stat -- .
