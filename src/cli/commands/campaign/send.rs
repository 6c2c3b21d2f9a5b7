//! `campaign plan`, `run` and `resume`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, json};

use crate::campaign::settle::Scope;
use crate::campaign::{
    CampaignError, CampaignMessage, CampaignSpec, End, Part, Pause, PlanOptions, Planned, Preflight, Replan, Run,
    RunParts, RunSummary, Settings, Stage, at_own_pace, must_come_next, plan as write_plan, read_suppressed,
};
use crate::cli::args::{ResumeArgs, ResumeScope, RunArgs};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{shown, shown_text};
use crate::cli::progress::Bars;
use crate::cli::session::Session;
use crate::cli::values::count;
use crate::events::CampaignEvent;
use crate::graph::MessagingType;
use crate::ids::{KeySpace, Recipient};
use crate::record::{Campaign, Change, Record};

use super::ahead::{confirm, print_ahead};
use super::attach::{ASK_EVERY, let_go, look_on};
use super::closing::conclude;
use super::events::{BadRowEvent, PreflightEvent};
use super::live::Live;
use super::show::print_status;
use super::{counts, find, how_to_go_on, space};

/// How many bad rows people are shown.
const SHOWN: usize = 10;
/// How many people are left out at once.
const SUPPRESSED_AT_ONCE: usize = 1_000;
/// How many uploads may be under way at once.
const UPLOADS: usize = 4;

pub(super) async fn plan(context: &Context, file: &Path, replan: bool) -> Result<Exit, Failure> {
    let record = context.record().await?;
    let spec = CampaignSpec::load(file)?;
    let planned = planned(context, &record, &spec, replan).await?;
    let campaign = &planned.campaign;
    let counts = counts(context, &*record, campaign).await?;
    context.output.remark(format_args!("{}: {}", campaign.name, plan_line(&planned)));
    print_status(context, campaign, &counts);
    context.output.event(&CampaignEvent::new(campaign, &counts));
    Ok(if campaign.malformed > 0 { Exit::SomeFailed } else { Exit::Done })
}

pub(super) async fn run(context: &Context, args: RunArgs) -> Result<Exit, Failure> {
    let spec = spec_of(&args)?;
    let record = context.record().await?;
    let planned = planned(context, &record, &spec, args.replan).await?;
    context.output.remark(format_args!("{}: {}", spec.name, plan_line(&planned)));
    let campaign = planned.campaign;
    let only_a_resume = Pause::of(&campaign).is_some_and(Pause::wants_a_resume);
    if let Some(why) = campaign.paused.as_deref().filter(|_| only_a_resume) {
        if let Some(path) = &args.suppress {
            // Whoever goes on with it need not name them again.
            leave_out(context, &*record, &campaign, path).await?;
        }
        return Err(Failure::Usage {
            message: format!("the campaign {} is paused: {why}", spec.name),
            hint: how_to_go_on(&campaign),
        });
    }
    drive(context, record, campaign, None, args.suppress).await
}

pub(super) async fn resume(context: &Context, args: ResumeArgs) -> Result<Exit, Failure> {
    let record = context.record().await?;
    let campaign = find(context, &*record, &args.name).await?;
    if let Some(asked) = args.stage {
        must_come_next(&campaign, asked.into())?;
    }
    if let Some(why) = campaign.paused.as_deref().filter(|_| Pause::of(&campaign) == Some(Pause::Lost)) {
        context.output.complain(format_args!(
            "{} was paused: {}; who has it all the same gets it again",
            args.name,
            shown_text(why)
        ));
    }
    let counts = counts(context, &*record, &campaign).await?;
    let again = match args.scope {
        ResumeScope::Pending => None,
        ResumeScope::Failed => Some((Scope::Failed, counts.failed, "that failed")),
        ResumeScope::Unknown => Some((Scope::Unknown, counts.unknown, "that may have arrived")),
    };
    if let Some((scope, number, words)) = again {
        if scope == Scope::Unknown {
            context.confirm("What may have arrived is sent again: some people may get it twice.").await?;
        }
        context.output.remark(format_args!("{}: {} {words} to be sent again", args.name, count(number, "message")));
    }
    drive(context, record, campaign, again.map(|(scope, ..)| scope), args.suppress).await
}

async fn planned(
    context: &Context,
    record: &Arc<dyn Record>,
    spec: &CampaignSpec,
    replan: bool,
) -> Result<Planned, Failure> {
    let options = PlanOptions {
        space: space(context, &**record).await?,
        replan: if replan { Replan::Allowed } else { Replan::Refused },
        stop: context.stop.clone(),
    };
    let planned = loop {
        match write_plan(record, spec, &options, &context.clock).await {
            Err(CampaignError::Held { .. }) if is_being_planned(context, &**record, &options.space, spec).await? => {
                tokio::select! {
                    () = tokio::time::sleep(ASK_EVERY) => {}
                    () = context.stop.requested() => return Err(Failure::Stopped),
                }
            }
            planned => break planned?,
        }
    };
    for (place, bad) in planned.bad_rows.iter().enumerate() {
        context.output.event(&BadRowEvent { event: "bad_row", line: bad.line, message: &bad.reason });
        if place < SHOWN && !context.output.is_json() {
            context.output.complain(format_args!("{}, {}", shown(&spec.recipients), shown_text(&bad.to_string())));
        }
    }
    let hidden = planned.campaign.malformed.saturating_sub(SHOWN as u64);
    if hidden > 0 && !context.output.is_json() {
        context
            .output
            .complain(format_args!("… and {} more that cannot be used: `--json` names them", count(hidden, "row")));
    }
    Ok(planned)
}

/// Whether somebody plans it just now, perhaps just the same.
async fn is_being_planned(
    context: &Context,
    record: &dyn Record,
    space: &KeySpace,
    spec: &CampaignSpec,
) -> Result<bool, Failure> {
    let known = record.campaign(space, &spec.name, context.clock.now()).await?;
    Ok(known.is_some_and(|known| known.holder.is_some() && known.digest.is_none()))
}

fn plan_line(planned: &Planned) -> String {
    let Campaign { recipients, duplicates, malformed, .. } = planned.campaign;
    let mut line = if planned.unchanged { "planned before, ".to_owned() } else { "planned, ".to_owned() };
    line += &count(recipients, "recipient");
    if duplicates > 0 {
        line = format!("{line}, {} removed", count(duplicates, "duplicate"));
    }
    if malformed > 0 {
        line = format!("{line}, {} that cannot be used", count(malformed, "row"));
    }
    if planned.added > 0 {
        line = format!("{line}, {} put on it", count(planned.added, "tester"));
    }
    line
}

/// The campaign the flags describe.
fn spec_of(args: &RunArgs) -> Result<CampaignSpec, Failure> {
    let (name, to) = match (&args.spec, &args.name, &args.to) {
        (Some(file), ..) => return Ok(CampaignSpec::load(file)?),
        (None, Some(name), Some(to)) => (name.clone(), to.clone()),
        _ => {
            return Err(Failure::Usage {
                message: "there is no campaign to run".into(),
                hint: "name a campaign file, or give --name, --to and --file or --text".into(),
            });
        }
    };
    let part = match (&args.content.file, &args.content.text) {
        (Some(file), _) => json!({"attachment": {"payload": {"file": file}}}),
        (None, text) => json!({"text": text}),
    };
    let here = std::env::current_dir().map_err(|source| Failure::File {
        action: "found",
        path: PathBuf::from("."),
        source,
    })?;
    let usual = if args.tag.is_some() { MessagingType::MessageTag } else { MessagingType::Update };
    Ok(CampaignSpec {
        name,
        recipients: to,
        message: CampaignMessage {
            messaging_type: args.messaging_type.unwrap_or(usual),
            tag: args.tag.as_ref().map(|tag| tag.as_str().to_owned()),
            notification_type: None,
            persona_id: None,
            parts: vec![Part::new(part.as_object().cloned().unwrap_or_else(Map::new))],
        },
        settings: Settings::new(here),
    })
}

/// Looks ahead, asks, and sends; those of `again` once more. Nothing is changed before the yes, but for whom `suppress` names.
async fn drive(
    context: &Context,
    record: Arc<dyn Record>,
    campaign: Campaign,
    mut again: Option<Scope>,
    suppress: Option<PathBuf>,
) -> Result<Exit, Failure> {
    let campaign = if record.is_shared() { campaign } else { let_go(context, &*record, campaign).await? };
    if let Some(holder) = campaign.holder.filter(|_| !record.is_shared() || suppress.is_some()) {
        // Who sends has read the list: people who are to be left out now, or to get it again, could not be told to it.
        return match (suppress, again) {
            (None, None) => look_on(context, &*record, campaign, holder).await,
            _ => Err(CampaignError::Held { name: campaign.name, holder }.into()),
        };
    }
    let session = paced(context.session(&*record).await?, &campaign);
    if campaign.space.page != session.page.id {
        return Err(Failure::WrongPage {
            expected: campaign.space.page,
            actual: session.page.id,
            actual_name: session.page.name,
        });
    }
    if again.is_some() || counts(context, &*record, &campaign).await?.pending > 0 {
        // What nobody can say yes to needs no uploads, and no look ahead that takes the campaign.
        context.may_confirm("This sends messages.")?;
    }
    let (suppressed, left_out) = match suppress {
        Some(path) => leave_out(context, &*record, &campaign, &path).await?,
        None => (0, HashSet::new()),
    };
    let bars = context.bars();
    let library =
        context.library(&session, Arc::clone(&record), context.inspector_without_cache(), UPLOADS, bars.clone());
    let parts = RunParts {
        record: Arc::clone(&record),
        graph: Arc::clone(&session.graph),
        library,
        clock: Arc::clone(&context.clock),
        stop: context.stop.clone(),
    };
    let (mut campaign, mut has_agreed) = (campaign, false);
    loop {
        let mut run = match Run::begin(parts.clone(), &campaign).await {
            Err(CampaignError::Held { holder, .. }) if again.is_none() => {
                return look_on(context, &*record, campaign, holder).await;
            }
            begun => begun?,
        };
        if let Some(scope) = again.take() {
            run = run.again(scope, left_out.clone());
        }
        let looked = look_ahead(context, &session, &campaign, &mut run, bars.as_deref(), suppressed, has_agreed).await;
        let ahead = match looked {
            Ok(ahead) => ahead,
            Err(declined) => {
                run.give_up().await?;
                return Err(declined);
            }
        };
        // Only the pause that was seen is lifted: another, such as one behind a stage, was asked for meanwhile.
        if let Some(why) = campaign.paused.clone() {
            record.change(campaign.id, Change::Unpause(why)).await?;
        }
        let live = Live::of_run(context, &ahead, run.tally(), Arc::clone(&session.graph));
        let sent = run.send().await;
        drop(live);
        let summary = sent?;
        let exit = conclude(context, &*record, &summary).await?;
        let End::Stage { stage, has_arrived } = summary.end else { return Ok(exit) };
        if let Some(exit) = ends_behind(context, &summary, stage, has_arrived, exit).await {
            return Ok(exit);
        }
        let now = find(context, &*record, &campaign.name).await?;
        has_agreed = now.digest == campaign.digest;
        // The yes is to this pause, and to no other that has come meanwhile.
        campaign = Campaign { paused: summary.campaign.paused, ..now };
    }
}

/// Looks ahead, and asks, unless somebody has said yes to this very plan.
async fn look_ahead(
    context: &Context,
    session: &Session,
    campaign: &Campaign,
    run: &mut Run,
    bars: Option<&Bars>,
    suppressed: u64,
    has_agreed: bool,
) -> Result<Preflight, Failure> {
    let ahead = run.preflight().await;
    if let Some(bars) = bars {
        bars.clear();
    }
    let ahead = ahead?;
    context.output.event(&PreflightEvent::new(campaign, &ahead, suppressed));
    if !has_agreed {
        print_ahead(context, session, campaign, &ahead, suppressed);
        confirm(context, campaign, &ahead).await?;
    }
    Ok(ahead)
}

/// How the command ends behind a stage; `None` where somebody says yes, here and now, to what comes next.
async fn ends_behind(
    context: &Context,
    summary: &RunSummary,
    stage: Stage,
    has_arrived: bool,
    exit: Exit,
) -> Option<Exit> {
    let look = if has_arrived { "look at what they got" } else { "see why, before it goes on" };
    // Who paused it as well has something else to be asked.
    if !context.asks() || Pause::of(&summary.campaign) != Some(Pause::Question) {
        let name = &summary.campaign.name;
        context.output.note(format_args!("  {look}: `reattach campaign resume {name}` goes on"));
        return Some(exit);
    }
    let (outcome, pending) = (stage.outcome(has_arrived), count(summary.counts.pending, "message"));
    let answer = context.confirm(&format!("Now {outcome}: {look}. {pending} are to be sent.")).await;
    answer.is_err().then(|| context.ending(exit))
}

/// The session at the campaign's own pace, where that is slower than the Page's.
fn paced(session: Session, campaign: &Campaign) -> Session {
    match at_own_pace(&session.graph, campaign) {
        Some(graph) => Session { graph, ..session },
        None => session,
    }
}

/// Leaves these people out: to how many of them something was to be sent, and who they are.
async fn leave_out(
    context: &Context,
    record: &dyn Record,
    campaign: &Campaign,
    path: &Path,
) -> Result<(u64, HashSet<Recipient>), Failure> {
    let (people, bad) = read_suppressed(path)?;
    if let Some(first) = bad.first() {
        // To send to somebody who asked not to be written to cannot be taken back.
        return Err(Failure::Usage {
            message: format!("{}: {}", shown(path), first),
            hint: "correct the list: nothing is sent while it cannot be read whole".into(),
        });
    }
    let mut left_out = 0;
    for some in people.chunks(SUPPRESSED_AT_ONCE) {
        let some: Vec<Recipient> = some.to_vec();
        left_out += record.suppress(campaign.id, &some, context.clock.now()).await?;
    }
    Ok((left_out, people.into_iter().collect()))
}
