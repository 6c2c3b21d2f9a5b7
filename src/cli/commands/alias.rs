//! `alias`: names for assets, good on every Page.

use crate::cli::args::AliasArgs;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{shown, shown_text};
use crate::events::AliasEvent;
use crate::ids::AliasName;
use crate::library::{AliasRequest, AssetRef, LibraryError, point_at};
use crate::record::{Alias, AliasTarget, Record};

use super::references::{inspector_for, must_exist, reference};

pub(super) async fn run(context: &Context, args: AliasArgs) -> Result<Exit, Failure> {
    let record = context.record().await?;
    match (args.remove, args.name, args.reference) {
        (Some(name), ..) => remove(context, &*record, &name).await,
        (None, Some(name), Some(text)) => {
            let reference = reference(&text)?;
            let platform = context.settings.platform;
            set(context, &*record, AliasRequest { name, reference, kind: args.kind, platform }).await
        }
        (None, Some(name), None) => {
            print(context, &known(&name, record.alias(&name).await?)?);
            Ok(Exit::Done)
        }
        (None, None, _) => list(context, &*record).await,
    }
}

async fn set(context: &Context, record: &dyn Record, request: AliasRequest) -> Result<Exit, Failure> {
    if let AssetRef::File(path) = &request.reference {
        must_exist(path)?;
    }
    let inspector = inspector_for(context, std::slice::from_ref(&request.reference));
    let (alias, before) = point_at(&inspector, record, &request, context.clock.now()).await?;
    let output = &context.output;
    output.event(&AliasEvent::set(&alias, before.as_ref()));
    let mark = output.palette.good("✓");
    let before = before
        .filter(|before| before.target != alias.target)
        .map_or_else(String::new, |before| output.palette.faint(format_args!("  (before: {})", place(&before.target))));
    output.remark(format_args!("{mark} {} → {}{before}", alias.name, place(&alias.target)));
    Ok(Exit::Done)
}

async fn remove(context: &Context, record: &dyn Record, name: &AliasName) -> Result<Exit, Failure> {
    let removed = known(name, record.remove_alias(name).await?)?;
    context.output.event(&AliasEvent::new(&removed, "removed"));
    context.output.remark(format_args!("removed {} → {}", removed.name, place(&removed.target)));
    Ok(Exit::Done)
}

async fn list(context: &Context, record: &dyn Record) -> Result<Exit, Failure> {
    let aliases = record.aliases().await?;
    for alias in &aliases {
        print(context, alias);
    }
    if aliases.is_empty() {
        context.output.remark("there are no aliases yet: `reattach alias hero banner.png` makes one");
    }
    Ok(context.ending(Exit::Done))
}

fn known(name: &AliasName, found: Option<Alias>) -> Result<Alias, Failure> {
    found.ok_or_else(|| LibraryError::NoSuchAlias { alias: name.clone() }.into())
}

fn print(context: &Context, alias: &Alias) {
    context.output.event(&AliasEvent::new(alias, "listed"));
    let name = alias.name.to_string();
    context.output.result(format_args!("{name:<20} {:<5}  {}", alias.target.kind, place(&alias.target)));
}

/// The file it was made from, where one is known.
fn place(target: &AliasTarget) -> String {
    target.source.as_deref().map_or_else(|| shown_text(&target.asset.to_string()), shown)
}
