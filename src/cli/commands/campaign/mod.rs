//! `campaign`: a message to many people, once each.

mod ahead;
mod ask;
mod attach;
mod closing;
mod emergency;
mod events;
mod export;
mod live;
mod send;
mod settle;
mod show;
mod unknown;

use crate::campaign::{self, Counts, Pause, State};
use crate::cli::args::{CampaignArgs, CampaignCommand};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::events::CampaignEvent;
use crate::ids::{CampaignName, KeySpace};
use crate::record::{Campaign, Record};

pub(super) async fn run(context: &Context, args: CampaignArgs) -> Result<Exit, Failure> {
    match args.command {
        CampaignCommand::Plan { file, replan } => send::plan(context, &file, replan).await,
        CampaignCommand::Run(args) => send::run(context, args).await,
        CampaignCommand::Status { name } => show::status(context, &name).await,
        CampaignCommand::Pause { name } => pause(context, &name).await,
        CampaignCommand::Resume(args) => send::resume(context, args).await,
        CampaignCommand::Settle(args) => settle::run(context, args).await,
        CampaignCommand::Export(args) => export::run(context, args).await,
        CampaignCommand::List => show::list(context).await,
    }
}

async fn pause(context: &Context, name: &CampaignName) -> Result<Exit, Failure> {
    let record = context.record().await?;
    let campaign = find(context, &*record, name).await?;
    let counts_before = counts(context, &*record, &campaign).await?;
    if State::of(&campaign, &counts_before) == State::Finished {
        context.output.event(&CampaignEvent::new(&campaign, &counts_before));
        context.output.remark(format_args!("{name} is finished: there is nothing to pause"));
        return Ok(Exit::Done);
    }
    campaign::pause(&*record, campaign.id, context.clock.now()).await?;
    let campaign = find(context, &*record, name).await?;
    let counts = counts(context, &*record, &campaign).await?;
    context.output.event(&CampaignEvent::new(&campaign, &counts));
    match campaign.holder {
        Some(holder) => {
            context.output.remark(format_args!("{name} is paused: process {} finishes what is under way", holder.pid));
        }
        None => context.output.remark(format_args!("{name} is paused: {}", how_to_go_on(&campaign))),
    }
    Ok(Exit::Done)
}

/// What leads on from a pause that only a resume lifts.
fn how_to_go_on(campaign: &Campaign) -> String {
    let name = &campaign.name;
    let resume = format!("`reattach campaign resume {name}` goes on with it");
    if Pause::of(campaign) == Some(Pause::Lost) {
        return format!(
            "`reattach campaign settle {name} --echoes FILE` names who has it all the same; {resume}, and with --suppress FILE \
             without them"
        );
    }
    resume
}

/// Where campaigns of the chosen Page stand on record.
async fn space(context: &Context, record: &dyn Record) -> Result<KeySpace, Failure> {
    let (origin, platform) = (context.settings.origin.clone(), context.settings.platform);
    Ok(KeySpace { origin, page: context.page_id(record).await?, platform })
}

/// The campaign of that name, of the Page that was named. Where none was, Meta is asked whose token this is only where Pages
/// have campaigns of the same name.
async fn find(context: &Context, record: &dyn Record, name: &CampaignName) -> Result<Campaign, Failure> {
    let (origin, platform) = (&context.settings.origin, context.settings.platform);
    let is_meant = |campaign: &Campaign| {
        campaign.name == *name && campaign.space.origin == *origin && campaign.space.platform == platform
    };
    let mut found = record.campaigns(context.clock.now()).await?;
    found.retain(is_meant);
    if found.len() > 1 || (context.global.page.is_some() && !found.is_empty()) {
        let space = space(context, record).await?;
        found.retain(|campaign| campaign.space == space);
    }
    found.pop().ok_or_else(|| Failure::Usage {
        message: format!("there is no campaign {name}"),
        hint: "`reattach campaign list` shows those there are".into(),
    })
}

async fn counts(context: &Context, record: &dyn Record, campaign: &Campaign) -> Result<Counts, Failure> {
    Ok(campaign::counts(record, campaign, context.clock.now()).await?)
}
