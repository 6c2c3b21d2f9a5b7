//! `migrate`: carries a record to another place, and back.

use std::fs;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::cli::args::MigrateArgs;
use crate::cli::config::record_place;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::values::count;
use crate::record::{CarriedTable, RecordPlace, carry_over};

/// `{"event":"migrated"}`: one for each table.
#[derive(Serialize)]
struct MigratedEvent {
    event: &'static str,
    table: &'static str,
    rows: u64,
    carried: u64,
}

/// `{"event":"migrate_summary"}`.
#[derive(Serialize)]
struct MigrateSummary {
    event: &'static str,
    rows: u64,
    carried: u64,
}

pub(super) async fn run(context: &Context, args: MigrateArgs) -> Result<Exit, Failure> {
    let (from, to) = (record_place(&args.from)?, record_place(&args.to)?);
    check_places(&args, &from, &to)?;
    let sums = Mutex::new((0, 0));
    let told = |CarriedTable { table, rows, carried }: CarriedTable| {
        context.output.event(&MigratedEvent { event: "migrated", table, rows, carried });
        if rows > 0 && !context.output.is_json() {
            context.output.remark(format_args!("{table}: {}, {carried} of them now", count(rows, "row")));
        }
        let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
        *sums = (sums.0 + rows, sums.1 + carried);
    };
    carry_over(&from, &to, context.clock.now(), told).await?;
    let (rows, carried) = *sums.lock().unwrap_or_else(PoisonError::into_inner);
    context.output.event(&MigrateSummary { event: "migrate_summary", rows, carried });
    context.output.remark(format_args!("{}, the same here and there", count(rows, "row")));
    context.output.note(
        "from now on use the new one alone: each knows nothing of what the other uploads and sends, and campaigns go on from both",
    );
    Ok(Exit::Done)
}

/// What is to be carried has to be there, and not where it goes: an empty record would be made of a misspelled name.
fn check_places(args: &MigrateArgs, from: &RecordPlace, to: &RecordPlace) -> Result<(), Failure> {
    let is_there = |place: &RecordPlace| match place {
        RecordPlace::File(path) => path.exists(),
        RecordPlace::Server(_) => true,
    };
    let are_one = match (from, to) {
        (RecordPlace::File(from), RecordPlace::File(to)) => {
            matches!((fs::canonicalize(from), fs::canonicalize(to)), (Ok(from), Ok(to)) if from == to)
        }
        _ => args.from == args.to,
    };
    match (is_there(from), are_one) {
        (true, false) => Ok(()),
        (true, true) => Err(Failure::Usage {
            message: "the record would be carried over to itself".into(),
            hint: "name another store with --to".into(),
        }),
        (false, _) => Err(Failure::Usage {
            message: format!("there is no record in {}", args.from),
            hint: "--from names a store that is there, as sled:FOLDER, sqlite:FILE or postgres://…".into(),
        }),
    }
}
