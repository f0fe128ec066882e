//! Audiences by filter: the only place where SQL is put together at run time. Every value is bound; the pieces of text
//! are constants of this file.
