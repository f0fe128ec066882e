//! The real program, ended at once under load again and again, on a full disk, on a failing one, and beside a database
//! that goes away: what was acknowledged holds.

mod disk;
mod found;
mod full;
mod house;
mod kill;
mod load;
mod oracle;
mod postgres;
mod staff;
