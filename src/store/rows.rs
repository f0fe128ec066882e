//! Inserting many rows with few statements.

use crate::store::db::{Args, Bind, Engine, Sql};
use crate::store::{StoreError, Tx};

/// The most rows that [`Tx::insert_many`] gives to one statement. A prepared statement keeps a place for every value of every
/// row, so that larger ones cost more memory than they save calls.
const ROWS_OF_A_STATEMENT: usize = 128;

impl Tx {
    const fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Pg(_) => Engine::Pg,
        }
    }

    /// Inserts many rows with few statements. The text marks the place of the rows with `/*rows*/`; `columns` is the number of values
    /// a row binds. Returns how many rows the engine counted.
    ///
    /// The numbers of rows in a statement are few and the same each time, so that both engines find it prepared.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn insert_many<T>(
        &mut self,
        sql: Sql,
        columns: usize,
        rows: &[T],
        mut bind: impl FnMut(&mut Row<'_>, &T) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        let engine = self.engine();
        let mut count = 0;
        let mut rest = rows;
        let mut next = take_rows(engine, sql, columns, &mut rest, &mut bind)?;
        while let Some((text, args)) = next {
            let mut query = self.q(sql);
            (query.text, query.args) = (text, args);
            // While the engine works on these rows, the next ones are made ready.
            let (done, ready) =
                tokio::join!(query.exec(), async { take_rows(engine, sql, columns, &mut rest, &mut bind) });
            count += done?;
            next = ready?;
        }
        Ok(count)
    }
}

/// Takes the next rows of [`Tx::insert_many`]: the largest power of two that fits.
fn take_rows<T>(
    engine: Engine,
    sql: Sql,
    columns: usize,
    rest: &mut &[T],
    bind: &mut impl FnMut(&mut Row<'_>, &T) -> Result<(), StoreError>,
) -> Result<Option<(String, Args)>, StoreError> {
    let Some(length) = rest.len().checked_ilog2().map(|exponent| ROWS_OF_A_STATEMENT.min(1 << exponent)) else {
        return Ok(None);
    };
    let (rows, others) = rest.split_at(length);
    *rest = others;
    let mut args = Args::none(engine);
    args.reserve(columns * length);
    let text = match engine {
        Engine::Sqlite => sql.sqlite,
        Engine::Pg => sql.pg,
    };
    let text = text.replacen("/*rows*/", &args.placeholders(columns, length), 1);
    for row in rows {
        bind(&mut Row(&mut args), row)?;
    }
    Ok(Some((text, args)))
}

/// One row of [`Tx::insert_many`].
pub struct Row<'a>(&'a mut Args);

impl Row<'_> {
    /// The next value.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the value cannot be encoded.
    pub fn bind<'t, T: Bind<'t>>(&mut self, value: T) -> Result<&mut Self, StoreError> {
        self.0.add(value)?;
        Ok(self)
    }
}

impl Args {
    /// `(?,?),(?,?)` for SQLite, which looks numbered names up one by one; `($1,$2),($3,$4)` for PostgreSQL.
    fn placeholders(&self, columns: usize, rows: usize) -> String {
        let mut text = String::with_capacity(rows * columns * 6);
        for row in 0..rows {
            text.push_str(if row == 0 { "(" } else { ",(" });
            for column in 0..columns {
                if column > 0 {
                    text.push(',');
                }
                match self {
                    Self::Sqlite(_) => text.push('?'),
                    Self::Pg(_) => {
                        text.push('$');
                        text.push_str(&(row * columns + column + 1).to_string());
                    }
                }
            }
            text.push(')');
        }
        text
    }
}
