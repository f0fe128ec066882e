//! The two schemas are one: same migrations, tables, columns, keys; and the history refuses to be changed on both.

use crate::tree;
use crate::world::{Engine, World, on_both_engines};
use consentd::store::Db;
use sqlx::{AssertSqlSafe, Row};
use std::collections::{BTreeMap, BTreeSet};

on_both_engines!(the_history_takes_nothing_but_new_lines, every_table_says_whose_its_rows_are);

/// What a column holds, as far as both engines can say it.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Holds {
    Bytes,
    Number,
    Text,
}

#[derive(Debug, PartialEq, Eq, Clone)]
struct Column {
    position: i64,
    holds: Holds,
    nullable: bool,
}

/// A key: primary, unique, or unique for some rows only; and its columns in their order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone)]
struct Key {
    table: String,
    columns: Vec<String>,
    unique: bool,
    primary: bool,
    partial: bool,
}

/// A reference: from these columns to those of another table, and whether rows go with it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone)]
struct Reference {
    table: String,
    columns: Vec<String>,
    to: String,
    cascades: bool,
}

#[derive(Debug, Default)]
struct Schema {
    columns: BTreeMap<(String, String), Column>,
    keys: BTreeSet<Key>,
    references: BTreeSet<Reference>,
}

async fn rows(db: &Db, text: String) -> Vec<Vec<String>> {
    let text = AssertSqlSafe(text);
    match db {
        Db::Sqlite { write, .. } => {
            let rows = sqlx::query(text).fetch_all(write).await.unwrap();
            rows.iter().map(|row| (0..row.len()).map(|n| row.get::<String, _>(n)).collect()).collect()
        }
        Db::Pg(pool) => {
            let rows = sqlx::query(text).fetch_all(pool).await.unwrap();
            rows.iter().map(|row| (0..row.len()).map(|n| row.get::<String, _>(n)).collect()).collect()
        }
    }
}

fn holds(word: &str) -> Holds {
    match word {
        "BLOB" | "uuid" | "bytea" => Holds::Bytes,
        "INTEGER" | "bigint" | "boolean" => Holds::Number,
        "TEXT" | "text" => Holds::Text,
        other => panic!("a column of type {other}"),
    }
}

fn list(words: &str) -> Vec<String> {
    words.split(',').map(str::to_owned).collect()
}

/// The queries give: table, column, position, type, nullable; then table, columns, unique, primary, partial; then
/// table, columns, other table, cascades.
async fn schema(db: &Db) -> Schema {
    let (columns, keys, references) = match db {
        Db::Sqlite { .. } => (
            "SELECT t.name, c.name, CAST(c.cid AS TEXT), c.type, CASE c.\"notnull\" WHEN 0 THEN 'true' ELSE 'false' END
             FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE '\\_sqlx%' ESCAPE '\\'",
            "SELECT t.name, (SELECT group_concat(name) FROM (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno)),
                    CASE i.\"unique\" WHEN 1 THEN 'true' ELSE 'false' END, CASE i.origin WHEN 'pk' THEN 'true' ELSE 'false' END,
                    CASE i.partial WHEN 1 THEN 'true' ELSE 'false' END
             FROM sqlite_master t, pragma_index_list(t.name) i WHERE t.type = 'table' AND t.name NOT LIKE '\\_sqlx%' ESCAPE '\\'",
            "SELECT t.name, group_concat(f.\"from\"), f.\"table\", CASE f.on_delete WHEN 'CASCADE' THEN 'true' ELSE 'false' END
             FROM sqlite_master t, pragma_foreign_key_list(t.name) f WHERE t.type = 'table' GROUP BY t.name, f.id",
        ),
        Db::Pg(_) => (
            "SELECT c.table_name::text, c.column_name::text, (c.ordinal_position - 1)::text, c.data_type::text,
                    CASE c.is_nullable WHEN 'YES' THEN 'true' ELSE 'false' END
             FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
             WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE' AND c.table_name NOT LIKE '\\_sqlx%'",
            "SELECT t.relname::text, (SELECT string_agg(a.attname, ',' ORDER BY k.n) FROM unnest(i.indkey) WITH ORDINALITY k (attnum, n)
                    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum),
                    i.indisunique::text, i.indisprimary::text, (i.indpred IS NOT NULL)::text
             FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
             WHERE t.relnamespace = current_schema()::regnamespace AND t.relname NOT LIKE '\\_sqlx%'",
            "SELECT t.relname::text, (SELECT string_agg(a.attname, ',' ORDER BY k.n) FROM unnest(f.conkey) WITH ORDINALITY k (attnum, n)
                    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum),
                    o.relname::text, (f.confdeltype = 'c')::text
             FROM pg_constraint f JOIN pg_class t ON t.oid = f.conrelid JOIN pg_class o ON o.oid = f.confrelid
             WHERE f.contype = 'f' AND t.relnamespace = current_schema()::regnamespace",
        ),
    };
    let mut schema = Schema::default();
    for row in rows(db, columns.into()).await {
        let column = Column { position: row[2].parse().unwrap(), holds: holds(&row[3]), nullable: row[4] == "true" };
        schema.columns.insert((row[0].clone(), row[1].clone()), column);
    }
    for row in rows(db, keys.into()).await {
        let [unique, primary, partial] = [2, 3, 4].map(|n| row[n] == "true");
        schema.keys.insert(Key { table: row[0].clone(), columns: list(&row[1]), unique, primary, partial });
    }
    for row in rows(db, references.into()).await {
        let reference =
            Reference { table: row[0].clone(), columns: list(&row[1]), to: row[2].clone(), cascades: row[3] == "true" };
        schema.references.insert(reference);
    }
    schema
}

#[test]
fn both_engines_have_the_same_migrations() {
    let names = |engine: &str| -> Vec<String> {
        let folder = format!("migrations/{engine}");
        tree::files(&folder, ".sql").into_iter().map(|file| file.path.replace(&folder, "")).collect()
    };
    assert_eq!(names("sqlite"), names("postgres"));
}

#[tokio::test]
async fn both_engines_have_the_same_tables_columns_and_keys() {
    let [sqlite, postgres] = [World::new(Engine::Sqlite).await, World::new(Engine::Postgres).await];
    let ours = schema(&sqlite.core.store.db).await;
    let theirs = schema(&postgres.core.store.db).await;
    assert!(ours.columns.len() > 100 && ours.keys.len() > 40 && ours.references.len() > 5, "the schema was read");
    for (name, column) in &ours.columns {
        assert_eq!(Some(column), theirs.columns.get(name), "{name:?} on SQLite and PostgreSQL");
    }
    let names = |schema: &Schema| schema.columns.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&theirs));
    // On PostgreSQL an index entry may not hold long texts; the migrations say why `reach_by_state` is wider on SQLite.
    let by_state = |key: &&Key| key.table == "reach" && !key.unique;
    let [ours_alike, theirs_alike]: [Vec<&Key>; 2] =
        [&ours, &theirs].map(|schema| schema.keys.iter().filter(|key| !by_state(key)).collect());
    assert_eq!(ours_alike, theirs_alike);
    let [wide, narrow] = [&ours, &theirs].map(|schema| schema.keys.iter().find(by_state).expect("one index"));
    assert!(wide.columns.starts_with(&narrow.columns), "{wide:?} {narrow:?}");
    assert_eq!(ours.references, theirs.references);
    sqlite.end().await;
    postgres.end().await;
}

/// Text sorts by bytes on both engines, so that pages and their keys mean the same.
#[tokio::test]
async fn text_sorts_by_bytes_on_postgres_too() {
    let world = World::new(Engine::Postgres).await;
    let text = "SELECT table_name::text || '.' || column_name::text FROM information_schema.columns
                WHERE table_schema = current_schema() AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'
                  AND table_name NOT LIKE '\\_sqlx%'";
    let found = rows(&world.core.store.db, text.into()).await;
    assert!(found.is_empty(), "without COLLATE \"C\": {found:?}");
    world.end().await;
}

/// I12.
async fn every_table_says_whose_its_rows_are(engine: Engine) {
    let world = World::new(engine).await;
    let schema = schema(&world.core.store.db).await;
    let tables: BTreeSet<&String> = schema.columns.keys().map(|(table, _)| table).collect();
    for table in tables.into_iter().filter(|table| !matches!(table.as_str(), "tenant" | "meta" | "account")) {
        let column = schema.columns.get(&(table.clone(), "tenant_id".into()));
        assert!(column.is_some_and(|column| !column.nullable), "{table} has no tenant_id, or one that may be absent");
    }
    world.end().await;
}

/// I4.
async fn the_history_takes_nothing_but_new_lines(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    world.address(&tenant, &key, "ada@example.org").await;
    let before = world.core.store.lines_after(tenant.id, 0, 10).await.unwrap();
    let columns =
        "tenant_id, seq, id, address_id, purpose_id, kind, actor, recorded_at, detail, payload, payload_mac, hash";
    let mut attacks = vec![
        "UPDATE statement SET kind = 'accepted'".to_owned(),
        "UPDATE statement SET seq = seq + 1".to_owned(),
        "DELETE FROM statement".to_owned(),
        "DELETE FROM statement WHERE seq = 1".to_owned(),
    ];
    match engine {
        Engine::Sqlite => {
            attacks.push(format!("INSERT OR REPLACE INTO statement ({columns}) SELECT {columns} FROM statement"));
            attacks.push(format!(
                "REPLACE INTO statement ({columns}) SELECT {} FROM statement",
                columns.replace(" seq,", " seq + 1,")
            ));
        }
        Engine::Postgres => {
            attacks.push("TRUNCATE statement".to_owned());
            attacks.push("TRUNCATE tenant CASCADE".to_owned());
            attacks.push(format!(
                "INSERT INTO statement ({columns}) SELECT {columns} FROM statement
                 ON CONFLICT (tenant_id, seq) DO UPDATE SET kind = 'accepted'"
            ));
        }
    }
    for text in attacks {
        let error = match &world.core.store.db {
            Db::Sqlite { write, .. } => sqlx::query(AssertSqlSafe(text.clone())).execute(write).await.map(drop),
            Db::Pg(pool) => sqlx::query(AssertSqlSafe(text.clone())).execute(pool).await.map(drop),
        }
        .expect_err(&text);
        assert!(error.to_string().contains("append-only"), "{text}: {error}");
    }
    assert_eq!(world.core.store.lines_after(tenant.id, 0, 10).await.unwrap(), before);
    world.end().await;
}

#[tokio::test]
async fn on_postgres_the_daemons_role_may_not_change_the_history() {
    let world = World::new(Engine::Postgres).await;
    let Db::Pg(pool) = &world.core.store.db else { panic!("PostgreSQL was asked for") };
    let text = "SELECT DISTINCT privilege_type FROM pg_class, aclexplode(relacl) WHERE oid = 'statement'::regclass";
    let granted: Vec<(String,)> = sqlx::query_as(text).fetch_all(pool).await.unwrap();
    let granted: Vec<&str> = granted.iter().map(|(privilege,)| privilege.as_str()).collect();
    assert!(granted.contains(&"INSERT") && granted.contains(&"SELECT"), "{granted:?}");
    for forbidden in ["UPDATE", "DELETE", "TRUNCATE"] {
        assert!(!granted.contains(&forbidden), "{granted:?}");
    }
    world.end().await;
}
