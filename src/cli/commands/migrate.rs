//! `migrate`: carries a record to another place, and back.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::cli::args::MigrateArgs;
use crate::cli::config::record_place;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::session::Context;
use crate::cli::values::count;
use crate::record::{CarriedTable, carry_over};

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
    Ok(Exit::Done)
}
