//! Ids Meta has dropped: made anew at the price of one upload each, and at no other error's.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use reattach::clock::{Clock, ManualClock, SystemClock};
use reattach::graph::{
    CATALOGUE, Class, GraphClient, GraphError, Message, ReqwestTransport, RetryPolicy, Scope, SendRequest, Sent,
};
use reattach::ids::{MediaKind, PageId};
use reattach::library::{
    AssetOutcome, AssetRef, Carrier, Delivered, LibraryError, PlanRules, Prepared, ResolveOptions,
};
use reattach::media::ProblemCode;
use reattach::stop::Stop;
use serde_json::{Value, json};

use crate::library::{Opened, RULES, open_at, options};
use crate::support::World;
use crate::support::pictures::png;

const SOMEBODY: &str = "1254459154682919";
const NO_PATIENCE: RetryPolicy =
    RetryPolicy { attempts: 1, first_pause: Duration::ZERO, longest_pause: Duration::ZERO, max_wait: Duration::ZERO };

/// Sends, and tells nobody.
#[derive(Debug)]
struct Plain {
    graph: Arc<GraphClient>,
    page: PageId,
}

#[async_trait::async_trait]
impl Carrier for Plain {
    async fn carry(&self, request: &SendRequest) -> Result<Sent, GraphError> {
        self.graph.send(&self.page, request).await
    }
}

fn plain(opened: &Opened) -> Plain {
    Plain { graph: Arc::clone(&opened.graph), page: opened.library.space().page.clone() }
}

async fn open(world: &World) -> Opened {
    open_at(world, 64 << 20, ReqwestTransport::new(), Arc::new(SystemClock), NO_PATIENCE).await
}

fn to(recipient: usize, message: Value) -> SendRequest {
    let Value::Object(message) = message else { panic!("a message is an object") };
    SendRequest::new((1_000_000 + recipient).to_string().parse().expect("a PSID"), Message::from_json(message))
}

fn picture_of(path: &Path) -> Value {
    json!({"attachment": {"type": "image", "payload": {"file": path.to_str().expect("a plain name")}}})
}

async fn prepare(opened: &Opened, request: SendRequest) -> Prepared {
    opened.library.prepare(request, Path::new(""), RULES).await.expect("its ids are on record")
}

async fn send_file(opened: &Opened, path: &Path) -> Delivered {
    let prepared = prepare(opened, to(0, picture_of(path))).await;
    opened.library.deliver(prepared, &plain(opened)).await
}

fn id_of(world: &World, file: &str) -> String {
    world.run(["resolve", file]).ended_with(0).stdout.trim().to_owned()
}

fn refuse_every_send(world: &World) {
    let refusal = json!({"on": "send", "fault": {"graph": {"code": 100, "error_subcode": 2_018_074,
        "message": "(#100) The attachment id is invalid"}, "status": 400}, "times": 1_000});
    world.sandbox().set_faults(refusal).expect("a fault");
}

#[test]
fn revoking_a_hundred_random_ids_costs_a_hundred_uploads_and_no_failed_send() {
    const FILES: u32 = 150;
    const SENDERS: usize = 3;
    let world = World::new();
    let paths: Vec<_> = (0..FILES).map(|number| world.put(format!("{number}.png"), png(number))).collect();
    world.runtime.block_on(async {
        let opened = open(&world).await;
        let synced = opened.library.sync(&[world.library()], &options(), &Stop::new(), |_| {}).await;
        assert_eq!(synced.expect("a sync").summary.uploaded, u64::from(FILES));
        let mut messages = Vec::new();
        for sender in 0..SENDERS {
            for (number, path) in paths.iter().enumerate() {
                messages.push(prepare(&opened, to(sender * paths.len() + number, picture_of(path))).await);
            }
        }
        let mut random = fastrand::Rng::with_seed(7);
        let mut attachments = world.truth().attachments;
        random.shuffle(&mut attachments);
        random.shuffle(&mut messages);
        let revoked: HashSet<_> = attachments.into_iter().take(100).map(|attachment| attachment.id).collect();
        assert!(revoked.iter().all(|id| world.sandbox().revoke(id)));

        let carrier = plain(&opened);
        let ended = join_all(messages.into_iter().map(|message| opened.library.deliver(message, &carrier))).await;
        for delivered in &ended {
            assert!(matches!(delivered, Delivered::Sent { .. }), "{delivered:?}");
        }
    });
    let truth = world.truth();
    assert_eq!((world.uploads(), truth.message_count), (u64::from(FILES) + 100, 450));
    // Everybody got the picture they were meant to get.
    let picture = |id: &str| {
        let attachment = truth.attachments.iter().find(|attachment| attachment.id == id).expect("an attachment");
        assert!(!attachment.revoked);
        attachment.file.as_ref().expect("bytes").name.clone()
    };
    for message in &truth.messages {
        let recipient: u32 = message.recipient().expect("somebody").parse().expect("a number");
        let id = json!(message.request)["message"]["attachment"]["payload"]["attachment_id"].clone();
        let number = (recipient - 1_000_000) % FILES;
        assert_eq!(picture(id.as_str().expect("an id")), format!("{number}.png"));
    }
}

#[test]
fn whoever_is_late_uses_the_new_id_and_uploads_nothing() {
    let world = World::new();
    let path = world.put("hero.png", png(1));
    world.runtime.block_on(async {
        let opened = open(&world).await;
        opened.library.resolve(&AssetRef::File(path.clone()), &ResolveOptions::uploading(RULES)).await;
        let early = prepare(&opened, to(1, picture_of(&path))).await;
        let late = prepare(&opened, to(2, picture_of(&path))).await;
        assert!(world.sandbox().revoke(&world.truth().attachments[0].id));
        let carrier = plain(&opened);
        for prepared in [early, late] {
            let delivered = opened.library.deliver(prepared, &carrier).await;
            assert!(matches!(delivered, Delivered::Sent { .. }), "{delivered:?}");
        }
    });
    assert_eq!((world.uploads(), world.truth().message_count), (2, 2));
}

#[test]
fn an_id_that_is_made_anew_is_one_upload_however_many_it_is_for() {
    let world = World::new();
    let path = world.put("hero.png", png(1));
    world.runtime.block_on(async {
        let opened = open(&world).await;
        opened.library.resolve(&AssetRef::File(path.clone()), &ResolveOptions::uploading(RULES)).await;
        let picture = picture_of(&path)["attachment"].clone();
        let mut early = to(1, json!({"attachments": [picture, picture]}));
        early.envelope.allow.attachment_lists = true;
        let early = prepare(&opened, early).await;
        let late = prepare(&opened, to(2, picture_of(&path))).await;
        assert!(world.sandbox().revoke(&world.truth().attachments[0].id));
        let mut taken = Vec::new();
        for prepared in [early, late] {
            let healed = opened.library.replace_refused(prepared).await.expect("made anew, or there already");
            taken.extend(healed.assets().iter().map(|asset| asset.outcome));
        }
        assert_eq!(taken, [AssetOutcome::Refreshed, AssetOutcome::Reused, AssetOutcome::Reused]);
    });
    assert_eq!(world.uploads(), 2);
}

#[test]
fn an_id_written_by_hand_heals_where_it_is_on_record_and_goes_on_working() {
    let world = World::new();
    world.put("hero.png", png(1));
    let id = id_of(&world, "library/hero.png");
    assert!(world.sandbox().revoke(&id));
    let by_hand = ["send", "--to", SOMEBODY, "--attachment-id", &id, "--kind", "image"];
    let run = world.json(by_hand).ended_with(0);
    let new = id_of(&world, "library/hero.png");
    assert_ne!(new, id);
    assert_eq!(run.events_of("send")[0]["attachment_id"], new.as_str());
    // The bot that has it in its code will not hear of the new one.
    world.run(by_hand).ended_with(0);
    let card = json!({"attachment": {"type": "template", "payload": {"template_type": "media",
        "elements": [{"media_type": "image", "attachment_id": id}]}}});
    let card = world.put("card.json", card.to_string());
    world.run(["send", "--to", SOMEBODY, "--message", card.to_str().expect("a name")]).ended_with(0);
    assert_eq!((world.uploads(), world.truth().message_count), (2, 3));
}

#[test]
fn an_id_that_is_not_ours_is_left_alone() {
    let world = World::new();
    world.put("hero.png", png(1));
    let id = id_of(&world, "library/hero.png");
    assert!(world.sandbox().revoke(&id));
    world.run(["send", "--to", SOMEBODY, "--attachment-id", "1857777774821032", "--kind", "image"]).ended_with(3);
    assert_eq!((world.uploads(), world.truth().counters.requests.send), (1, 1));
    // Beside one of ours it may be the one that is refused: nobody's token is to blame for that.
    let both = json!({"attachment": {"type": "template", "payload": {"template_type": "generic", "elements": [
        {"title": "a", "attachment_id": id}, {"title": "b", "attachment_id": "1857777774821032"}]}}});
    let both = world.put("both.json", both.to_string());
    let run = world.json(["send", "--to", SOMEBODY, "--message", both.to_str().expect("a name")]).ended_with(3);
    assert_eq!(run.events_of("send")[0]["error"]["subcode"], 2_018_074);
    assert_eq!((world.uploads(), world.truth().message_count), (2, 0));
}

#[test]
fn an_id_replaced_three_times_within_the_hour_is_left_alone_until_the_hour_is_over() {
    let world = World::new();
    let (hero, logo) = (world.put("hero.png", png(1)), world.put("logo.png", png(2)));
    world.runtime.block_on(async {
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let shared = Arc::clone(&clock) as Arc<dyn Clock>;
        let opened = open_at(&world, 64 << 20, ReqwestTransport::new(), shared, NO_PATIENCE).await;
        refuse_every_send(&world);
        for time in 1..=3 {
            let delivered = send_file(&opened, &hero).await;
            assert!(matches!(delivered, Delivered::NewIdRefused { .. }), "{time}: {delivered:?}");
            assert_eq!(world.uploads(), 1 + time);
        }
        let delivered = send_file(&opened, &hero).await;
        let Delivered::NotHealed { error, .. } = &delivered else { panic!("{delivered:?}") };
        assert!(!error.concerns_every_file());
        let LibraryError::NotHealed { cause, .. } = error else { panic!("{error:?}") };
        assert!(matches!(**cause, LibraryError::ReplacedTooOften { times: 3, .. }), "{cause:?}");
        // Nobody gets round it, and others do not feel it.
        let opened = open_at(&world, 64 << 20, ReqwestTransport::new(), Arc::clone(&clock) as _, NO_PATIENCE).await;
        let report = opened.library.resolve(&AssetRef::File(hero.clone()), &ResolveOptions::uploading(RULES)).await;
        assert!(matches!(report.error.as_deref(), Some(LibraryError::ReplacedTooOften { .. })), "{report:?}");
        assert_eq!(world.uploads(), 4);
        world.sandbox().clear_faults();
        assert!(matches!(send_file(&opened, &logo).await, Delivered::Sent { .. }));
        clock.advance(Duration::from_hours(1));
        assert!(matches!(send_file(&opened, &hero).await, Delivered::Sent { .. }));
        assert_eq!(world.uploads(), 6);
    });
}

#[test]
fn the_command_line_names_page_token_and_app_when_the_breaker_is_open() {
    let world = World::new();
    world.put("hero.png", png(1));
    refuse_every_send(&world);
    for _ in 0..3 {
        let run = world.run(["send", "--to", SOMEBODY, "--file", "library/hero.png"]).ended_with(4);
        assert!(run.stderr.contains("Sandbox Bakery") && run.stderr.contains("token"), "{}", run.stderr);
    }
    for sends in [7, 7] {
        let run = world.json(["send", "--to", SOMEBODY, "--file", "library/hero.png"]).ended_with(4);
        assert!(run.stderr.contains("was replaced 3 times within the hour"), "{}", run.stderr);
        assert!(run.stderr.contains("this token's app and Page"), "{}", run.stderr);
        assert_eq!(run.events_of("send")[0]["outcome"], "failed");
        assert_eq!((world.uploads(), world.truth().counters.requests.send), (4, sends));
    }
}

#[test]
fn a_source_that_is_gone_or_changed_fails_its_send_alone() {
    let world = World::new();
    let paths: Vec<_> = (0..4).map(|number| world.put(format!("{number}.png"), png(number))).collect();
    let copy = world.put("copy of 3.png", png(3));
    world.runtime.block_on(async {
        let opened = open(&world).await;
        let mut prepared = Vec::new();
        for path in paths.iter().chain([&copy]) {
            prepared.push(prepare(&opened, to(0, picture_of(path))).await);
        }
        for attachment in world.truth().attachments {
            assert!(world.sandbox().revoke(&attachment.id));
        }
        fs::remove_file(&paths[0]).expect("removed");
        fs::write(&paths[1], png(11)).expect("written");
        fs::remove_file(&paths[3]).expect("removed");
        let carrier = plain(&opened);
        let mut ended = join_all(prepared.into_iter().map(|message| opened.library.deliver(message, &carrier))).await;
        let cause_of = |delivered| match delivered {
            Delivered::NotHealed { error: error @ LibraryError::NotHealed { .. }, .. } => {
                assert!(!error.concerns_every_file());
                let LibraryError::NotHealed { cause, .. } = error else { unreachable!() };
                cause
            }
            other => panic!("{other:?}"),
        };
        let gone = cause_of(ended.remove(0));
        assert!(
            matches!(&*gone, LibraryError::Unusable { problem, .. } if problem.code == ProblemCode::Vanished),
            "{gone:?}"
        );
        let changed = cause_of(ended.remove(0));
        assert!(matches!(&*changed, LibraryError::Changed { path } if *path == paths[1]), "{changed:?}");
        assert!(matches!(ended[0], Delivered::Sent { .. }), "{:?}", ended[0]);
        // Where it was named there is nothing any more; whether the copy was faster to heal it is a race.
        assert!(matches!(ended[1], Delivered::Sent { .. } | Delivered::NotHealed { .. }), "{:?}", ended[1]);
        assert!(matches!(ended[2], Delivered::Sent { .. }), "the copy has the bytes: {:?}", ended[2]);
    });
    assert_eq!(world.uploads(), 4 + 2);
    // What other bytes lie there now never went out under the old message.
    let truth = world.truth();
    let names: HashSet<_> =
        truth.attachments[4..].iter().map(|a| a.file.as_ref().expect("bytes").name.as_str()).collect();
    assert_eq!(names, HashSet::from(["2.png", "copy of 3.png"]));
}

#[test]
fn a_source_that_is_gone_is_told_to_people_with_what_to_do() {
    let world = World::new();
    let hero = world.put("hero.png", png(1));
    let id = id_of(&world, "library/hero.png");
    assert!(world.sandbox().revoke(&id));
    fs::remove_file(hero).expect("removed");
    let run = world.run(["send", "--to", SOMEBODY, "--attachment-id", &id, "--kind", "image"]).ended_with(3);
    assert!(run.stderr.contains(&id) && run.stderr.contains("hero.png"), "{}", run.stderr);
    assert!(run.stderr.contains("hint:"), "{}", run.stderr);
    assert_eq!((world.uploads(), world.truth().counters.requests.send), (1, 1));
}

#[test]
fn no_other_error_of_the_catalogue_costs_an_id() {
    let world = World::new();
    let path = world.put("hero.png", png(1));
    let others: Vec<_> = CATALOGUE.iter().filter(|entry| entry.scope() != Some(Scope::Attachment)).collect();
    assert!(others.len() > 60 && others.iter().all(|entry| entry.class != Class::Attachment));
    world.runtime.block_on(async {
        let opened = open(&world).await;
        let reference = AssetRef::File(path.clone());
        let first = opened.library.resolve(&reference, &ResolveOptions::uploading(RULES)).await;
        let id = first.upload.expect("an id").attachment_id;
        for entry in others {
            // A client of its own for each, as some of these shut the gate for all that follow.
            let opened = open(&world).await;
            let prepared = prepare(&opened, to(0, picture_of(&path))).await;
            let mut refusal = json!({"code": entry.code, "message": "no"});
            refusal["error_subcode"] = json!(entry.subcode);
            for on in ["send", "upload"] {
                let fault = json!({"on": on, "fault": {"graph": refusal, "status": 400}});
                world.sandbox().set_faults(fault).expect("a fault");
                let key = (entry.code, entry.subcode);
                if on == "send" {
                    let delivered = opened.library.deliver(prepared.clone(), &plain(&opened)).await;
                    assert!(matches!(delivered, Delivered::Failed { .. }), "{key:?}: {delivered:?}");
                } else {
                    let force = ResolveOptions::uploading(PlanRules { force: true, ..RULES });
                    let report = opened.library.resolve(&reference, &force).await;
                    assert_ne!(report.outcome, AssetOutcome::Reused, "{key:?}");
                }
                let report = opened.library.resolve(&reference, &ResolveOptions::uploading(RULES)).await;
                assert_eq!(report.outcome, AssetOutcome::Reused, "{key:?} on {on}");
                let upload = report.upload.expect("an id");
                assert_eq!((&upload.attachment_id, upload.key.kind), (&id, MediaKind::Image), "{key:?} on {on}");
            }
        }
    });
    assert_eq!((world.uploads(), world.truth().message_count), (1, 0));
}

#[test]
fn a_name_heals_from_where_it_has_its_bytes_though_they_were_uploaded_from_elsewhere() {
    let world = World::new();
    world.put("a/hero.png", png(1));
    let copy = world.put("b/copy.png", png(1));
    world.run(["alias", "hero", "library/a/hero.png"]).ended_with(0);
    let id = id_of(&world, "library/b/copy.png");
    fs::remove_file(copy).expect("removed");
    assert!(world.sandbox().revoke(&id));
    world.run(["send", "--to", SOMEBODY, "--asset", "@hero"]).ended_with(0);
    assert_eq!((world.uploads(), world.truth().message_count), (2, 1));
}
