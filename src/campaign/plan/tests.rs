use std::fmt::Write as _;

use tempfile::TempDir;

use super::check::RowCheck;
use super::list::{BATCH, List, TOLD};
use super::*;
use crate::campaign::{Nonce, Portion};
use crate::clock::ManualClock;
use crate::delivery::{Event, Refusal, State};
use crate::ids::Platform;
use crate::interleave::given_up_after;
use crate::record::{self, Begun, CampaignId, DeliveryKey, Enlisted, Entry, Holder, Reach};

const HELLO: &str = "[[message]]\ntext = \"Hi {name}\"\n";
const PEOPLE: &str = "recipient,name\n11,Ada\n22,Grace\n33,Edsger\n";

/// A folder with a campaign's files, and a record.
struct Desk {
    folder: TempDir,
    record: Arc<dyn Record>,
    clock: Arc<dyn Clock>,
    options: PlanOptions,
}

impl Desk {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let record = record::open(&folder.path().join("record.db")).await.expect("a record");
        let clock = Arc::new(ManualClock::new(Timestamp::from_unix_millis(1_800_000_000_000)));
        let space = KeySpace {
            origin: "https://graph.facebook.com".parse().expect("an origin"),
            page: "1".parse().expect("a Page"),
            platform: Platform::Messenger,
        };
        let options = PlanOptions { space, replan: Replan::Refused, stop: Stop::new() };
        Self { folder, record, clock, options }
    }

    /// The campaign `spring` of a file that says this, to this list.
    fn spec(&self, list: &str, rest: &str) -> CampaignSpec {
        std::fs::write(self.folder.path().join("people.csv"), list).expect("a file");
        let path = self.folder.path().join("spring.toml");
        std::fs::write(&path, format!("name = \"spring\"\nrecipients = \"people.csv\"\n{rest}")).expect("a file");
        CampaignSpec::load(&path).expect("a campaign")
    }

    async fn plan(&self, list: &str, rest: &str) -> Result<Planned, CampaignError> {
        plan(&self.record, &self.spec(list, rest), &self.options, &self.clock).await
    }

    fn new_campaign(&self, spec: &CampaignSpec) -> NewCampaign {
        NewCampaign {
            space: self.options.space.clone(),
            name: spec.name.clone(),
            message: text_of(&spec.message),
            settings: text_of(&spec.settings),
            parts: 1,
            replaces: None,
            testers: Vec::new(),
        }
    }

    /// A planner of this, who has but begun.
    async fn planner(&self, spec: &CampaignSpec) -> Begun {
        self.record.begin_plan(&self.new_campaign(spec), 4_711, self.clock.now()).await.expect("an answer")
    }

    async fn planned(&self, list: &str, rest: &str) -> Planned {
        self.plan(list, rest).await.expect("a plan")
    }

    /// Sends the first of the list something.
    async fn send_one(&self, id: CampaignId) {
        let now = self.clock.now();
        let Enlisted::Won(worker) = self.record.enlist(id, 1, now).await.expect("an answer") else {
            panic!("nobody has it")
        };
        let key = self.record.claim_deliveries(&worker, Reach::All, 1, now).await.expect("claimed").rows[0].key;
        for event in [Event::Intend { nonce: 1, variant: None }, Event::Sent { message_id: None }] {
            self.record.write(&worker, &[Entry { key, event, at: now }]).await.expect("written");
        }
        self.record.retire(&worker, now).await.expect("retired");
    }

    /// What an error to plan this is called, and what it is about.
    async fn refused(&self, list: &str, rest: &str) -> String {
        self.plan(list, rest).await.expect_err("a refusal").to_string()
    }
}

/// A list of so many people.
fn people(count: u64) -> String {
    (1..=count).fold("recipient\n".to_owned(), |mut list, person| {
        writeln!(list, "{person}").expect("a text");
        list
    })
}

#[tokio::test]
async fn to_plan_the_same_again_changes_nothing_but_how_it_is_sent() {
    let desk = Desk::new().await;
    let first = desk.planned(PEOPLE, HELLO).await;
    assert!(!first.unchanged && first.bad_rows.is_empty() && first.campaign.digest.is_some());
    assert_eq!((first.campaign.recipients, first.campaign.malformed, first.added), (3, 0, 0));
    let again = desk.planned(PEOPLE, HELLO).await;
    assert!(again.unchanged);
    assert_eq!(again.campaign, first.campaign);
    let slower = desk.planned(PEOPLE, &format!("{HELLO}[limits]\nstop_after_failures = 7\n")).await;
    let settings: super::super::Settings = serde_json::from_str(&slower.campaign.settings).expect("settings");
    assert_eq!((slower.unchanged, settings.stop_after_failures), (true, Some(Portion::Count(7))));
    assert_eq!(slower.campaign.digest, first.campaign.digest);
}

#[tokio::test(start_paused = true)]
async fn wherever_a_plan_is_given_up_the_next_one_may_plan() {
    let mut polls = 0;
    loop {
        polls += 1;
        let desk = Desk::new().await;
        let given_up = given_up_after(polls, desk.plan(PEOPLE, HELLO)).await.is_none();
        let mut planned = desk.plan(PEOPLE, HELLO).await;
        for _ in 0..1_000 {
            if !matches!(planned, Err(CampaignError::Held { .. })) {
                break;
            }
            // The call that was under way has not ended yet.
            tokio::time::sleep(Duration::from_millis(1)).await;
            planned = desk.plan(PEOPLE, HELLO).await;
        }
        assert_eq!(planned.expect("a plan").campaign.recipients, 3, "given up after {polls} polls");
        if !given_up {
            break;
        }
    }
    assert!(polls > 3, "it waits for nothing");
}

#[tokio::test]
async fn behind_a_plan_that_was_cut_off_whoever_has_begun_must_say_that_they_plan_anew() {
    let mut desk = Desk::new().await;
    let campaign = desk.planned(PEOPLE, HELLO).await.campaign;
    desk.send_one(campaign.id).await;
    let new = NewCampaign { replaces: campaign.digest, ..desk.new_campaign(&desk.spec(PEOPLE, HELLO)) };
    let Begun::Won(planner) = desk.record.begin_plan(&new, 4_711, desk.clock.now()).await.expect("an answer") else {
        panic!("nobody has it")
    };
    assert!(desk.refused(PEOPLE, HELLO).await.starts_with("process 4711 "), "it is being planned");
    desk.record.retire(&planner, desk.clock.now()).await.expect("cut off");
    let refusal = desk.refused(PEOPLE, HELLO).await;
    assert_eq!(refusal, "the campaign spring was planned with another list of recipients, and that plan was cut off");
    let refusal = desk.refused(PEOPLE, &HELLO.replace("Hi", "Ho")).await;
    assert_eq!(refusal, "the campaign spring was planned with another message");
    desk.options.replan = Replan::Allowed;
    assert_eq!(desk.planned(PEOPLE, HELLO).await.campaign.digest, campaign.digest);
}

#[tokio::test]
async fn another_message_or_list_is_refused_by_name_unless_it_is_asked_for() {
    let mut desk = Desk::new().await;
    let first = desk.planned(PEOPLE, HELLO).await;
    let others = [
        PEOPLE.replace("Ada", "Eve"),
        PEOPLE.replace("11", "44"),
        PEOPLE.replace("33,Edsger\n", ""),
        PEOPLE.replace("\n11,Ada", "").replace("22,Grace", "22,Grace\n11,Ada"),
        "recipient,name,last_interaction_at\n11,Ada,2026-11-01T00:00:00Z\n22,Grace,\n33,Edsger,\n".to_owned(),
    ];
    for list in &others {
        let refusal = desk.refused(list, HELLO).await;
        assert_eq!(refusal, "the campaign spring was planned with another list of recipients", "{list}");
    }
    let refusal = desk.refused(PEOPLE, &HELLO.replace("Hi", "Hello")).await;
    assert_eq!(refusal, "the campaign spring was planned with another message");
    assert!(desk.planned(PEOPLE, HELLO).await.unchanged);
    desk.options.replan = Replan::Allowed;
    let list = desk.planned(&others[2], HELLO).await;
    assert!(!list.unchanged && list.campaign.digest != first.campaign.digest);
    assert_eq!((list.campaign.id, list.campaign.recipients), (first.campaign.id, 2));
    let message = desk.planned(&others[2], &HELLO.replace("Hi", "Hello")).await;
    assert!(!message.unchanged && message.campaign.digest != list.campaign.digest);
    assert!(message.campaign.message.contains("Hello"), "{}", message.campaign.message);
}

#[tokio::test]
async fn whoever_is_sending_it_here_keeps_to_what_they_began_with() {
    let mut desk = Desk::new().await;
    let planned = desk.planned(PEOPLE, HELLO).await.campaign;
    let frozen = |campaign: &Campaign| campaign.assets.clone();
    desk.record.change(planned.id, Change::FreezeAssets("[]".to_owned())).await.expect("changed");
    let sending = desk.record.enlist(planned.id, 1, desk.clock.now()).await.expect("an answer");
    let Enlisted::Won(worker) = sending else { panic!("nobody has it") };
    let slower = format!("{HELLO}[limits]\nstop_after_failures = 7\n");
    for replan in [Replan::Refused, Replan::Allowed] {
        desk.options.replan = replan;
        let seen = desk.planned(PEOPLE, &slower).await;
        assert!(seen.unchanged);
        assert_eq!((&seen.campaign.settings, frozen(&seen.campaign)), (&planned.settings, Some("[]".to_owned())));
    }
    desk.record.retire(&worker, desk.clock.now()).await.expect("retired");
    desk.options.replan = Replan::Refused;
    let seen = desk.planned(PEOPLE, &slower).await.campaign;
    assert_ne!(seen.settings, planned.settings);
    assert_eq!(frozen(&seen), Some("[]".to_owned()), "the contents of its files stay those it was begun with");
    desk.options.replan = Replan::Allowed;
    assert_eq!(
        frozen(&desk.planned(PEOPLE, &slower).await.campaign),
        None,
        "whoever plans anew takes them as they are"
    );
}

#[tokio::test]
async fn a_message_somebody_had_keeps_its_number_of_parts() {
    let mut desk = Desk::new().await;
    desk.options.replan = Replan::Allowed;
    let id = desk.planned(PEOPLE, HELLO).await.campaign.id;
    desk.send_one(id).await;
    let refused = desk.plan(PEOPLE, &format!("{HELLO}[[message]]\ntext = \"And more\"\n")).await;
    assert!(matches!(refused, Err(CampaignError::OtherParts { was: 1, now: 2, .. })), "{refused:?}");
}

#[tokio::test]
async fn what_may_have_arrived_is_left_unknown_once_it_is_to_be_sent_no_more_than_once() {
    const TWICE: &str = "delivery = \"at-least-once\"\n";
    let doubted = async |desk: &Desk, id| {
        let now = desk.clock.now();
        let Enlisted::Won(worker) = desk.record.enlist(id, 1, now).await.expect("an answer") else {
            panic!("nobody has it")
        };
        let key = desk.record.claim_deliveries(&worker, Reach::All, 1, now).await.expect("claimed").rows[0].key;
        let why = Refusal::in_words("the answer was lost".to_owned());
        for event in [Event::Intend { nonce: 1, variant: None }, Event::DoubtAndRetry { why, due: now }] {
            desk.record.write(&worker, &[Entry { key, event, at: now }]).await.expect("written");
        }
        desk.record.retire(&worker, now).await.expect("retired");
    };
    let state = async |desk: &Desk, id| {
        let listed = desk.record.deliveries(id, None, None, 1).await.expect("a list");
        listed[0].delivery.state
    };
    let other = HELLO.replace("Hi", "Hello");
    for (next, expected) in [
        (format!("{TWICE}{HELLO}"), State::RetryAt),
        (HELLO.to_owned(), State::Unknown),
        (format!("{TWICE}{other}"), State::RetryAt),
        (other, State::Unknown),
    ] {
        let mut desk = Desk::new().await;
        desk.options.replan = Replan::Allowed;
        let id = desk.planned(PEOPLE, &format!("{TWICE}{HELLO}")).await.campaign.id;
        doubted(&desk, id).await;
        assert_eq!(state(&desk, id).await, State::RetryAt);
        desk.planned(PEOPLE, &next).await;
        assert_eq!(state(&desk, id).await, expected, "{next}");
    }
}

#[tokio::test]
async fn lists_of_any_length_are_written_down_whole() {
    let batch = u64::try_from(BATCH).expect("small");
    let desk = Desk::new().await;
    let spec = desk.spec(&people(batch + 1), "[[message]]\ntext = \"Hi\"\n");
    let list = List::open(&spec, Platform::Messenger).await.expect("a list").begin().await.expect("people");
    assert_eq!(list.batch.len(), BATCH, "and no more of them are in memory at once");
    for count in [1, batch, batch + 1, 2 * batch] {
        let desk = Desk::new().await;
        let planned = desk.planned(&people(count), "[[message]]\ntext = \"Hi\"\n").await;
        assert_eq!((planned.campaign.recipients, planned.campaign.duplicates), (count, 0));
        assert!(desk.planned(&people(count), "[[message]]\ntext = \"Hi\"\n").await.unchanged);
        // Somebody more at the very end is another list.
        desk.plan(&people(count + 1), "[[message]]\ntext = \"Hi\"\n").await.expect_err("another list");
    }
}

#[tokio::test]
async fn bad_rows_are_counted_and_the_first_hundred_thousand_told() {
    let desk = Desk::new().await;
    let list = format!("recipient,name\n{}11,Ada\n", "nobody,x\n".repeat(TOLD + 1));
    let planned = desk.planned(&list, HELLO).await;
    assert_eq!((planned.campaign.recipients, planned.campaign.malformed), (1, TOLD as u64 + 1));
    let lines: Vec<u64> = planned.bad_rows.iter().map(|row| row.line).collect();
    assert_eq!(lines, (2..TOLD as u64 + 2).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_list_of_nobody_is_refused_with_its_first_row() {
    let desk = Desk::new().await;
    let path = desk.folder.path().join("people.csv");
    let path = path.canonicalize().unwrap_or(path);
    let nobody = format!("{} names nobody who can be written to", path.display());
    let refusal = desk.refused("recipient,name\nnobody,x\n", HELLO).await;
    assert!(refusal.starts_with(&format!("{nobody}: line 2: ")), "{refusal}");
    assert_eq!(desk.refused("recipient,name\n", HELLO).await, nobody);
}

#[tokio::test]
async fn a_stop_leaves_nothing_that_holds_the_campaign() {
    let mut desk = Desk::new().await;
    let stop = Stop::new();
    stop.request();
    let going = std::mem::replace(&mut desk.options.stop, stop.clone());
    assert!(matches!(desk.plan(PEOPLE, HELLO).await, Err(CampaignError::Stopped)));
    desk.options.stop = going;
    assert!(!desk.planned(PEOPLE, HELLO).await.unchanged);
    desk.options.stop = stop;
    assert!(matches!(desk.plan(PEOPLE, HELLO).await, Err(CampaignError::Stopped)), "while it was compared");
}

#[tokio::test]
async fn who_is_planning_it_already_is_named_at_once() {
    let desk = Desk::new().await;
    let spec = desk.spec(PEOPLE, HELLO);
    let begun = desk.planner(&spec).await;
    let Begun::Won(planner) = begun else { panic!("{begun:?}") };
    let refusal = desk.refused(PEOPLE, HELLO).await;
    assert!(refusal.starts_with("process 4711 has been at the campaign spring since "), "{refusal}");
    let hint = desk.plan(PEOPLE, HELLO).await.err().and_then(|error| error.hint()).expect("a hint");
    assert!(hint.contains("`reattach campaign pause spring`"), "{hint}");
    desk.record.retire(&planner, desk.clock.now()).await.expect("given back");
    assert_eq!(desk.planned(PEOPLE, HELLO).await.campaign.recipients, 3);
}

#[tokio::test(start_paused = true)]
async fn among_many_whoever_plans_just_the_same_is_waited_for_and_whoever_sends_something_else_is_not() {
    let desk = Desk::new().await;
    let spec = desk.spec(PEOPLE, HELLO);
    let wait = async |seen| {
        let begun = desk.clock.now();
        let holder = Holder { pid: 4_711, since: begun };
        let held = CampaignError::Held { name: spec.name.clone(), holder };
        let waited = wait_for_others(&*desk.record, &spec, &desk.options, &*desk.clock, seen, held).await;
        (waited.map_err(|error| error.to_string()[..12].to_owned()), desk.clock.now().since(begun))
    };
    let (at_once, told) = (Duration::ZERO, Err("process 4711".to_owned()));
    assert_eq!(wait(None).await, (told.clone(), at_once), "nobody has planned it");
    let begun = desk.planner(&spec).await;
    let Begun::Won(planner) = begun else { panic!("{begun:?}") };
    assert_eq!(wait(None).await, (Ok(None), LOOK));
    let digest = [7; 32];
    desk.record.seal_plan(&planner, &desk.new_campaign(&spec), digest, 0, desk.clock.now()).await.expect("sealed");
    assert_eq!(wait(None).await, (Ok(Some(digest)), at_once), "it may be the same");
    assert_eq!(wait(Some(digest)).await, (told.clone(), at_once), "it is not the same");
    desk.options.stop.request();
    assert_eq!(wait(None).await, (told, at_once));
}

#[tokio::test]
async fn whoever_tried_a_message_out_tries_out_another_and_not_another_list() {
    let mut desk = Desk::new().await;
    desk.options.replan = Replan::Allowed;
    let trial = |text: &str| format!("testers = [\"11\"]\n[[message]]\ntext = \"{text}\"\n");
    let id = desk.planned(PEOPLE, &trial("Hi")).await.campaign.id;
    desk.send_one(id).await;
    let first = async || desk.record.deliveries(id, None, None, 1).await.expect("a list")[0].delivery.state;
    desk.planned(&PEOPLE.replace("Grace", "Eve"), &trial("Hi")).await;
    assert_eq!(first().await, State::Sent);
    // A plan that comes to nothing forgets nothing.
    desk.refused(PEOPLE, &trial("Hello {nobody}")).await;
    assert_eq!(first().await, State::Sent);
    desk.planned(PEOPLE, &trial("Hello")).await;
    assert_eq!(first().await, State::Planned);
}

#[tokio::test]
async fn another_way_to_meta_does_not_begin_a_campaign_anew() {
    let mut desk = Desk::new().await;
    let id = desk.planned(PEOPLE, HELLO).await.campaign.id;
    // Whoever looked ahead and said no has sent nothing.
    let Enlisted::Won(worker) = desk.record.enlist(id, 1, desk.clock.now()).await.expect("an answer") else {
        panic!("nobody has it")
    };
    desk.record.retire(&worker, desk.clock.now()).await.expect("retired");
    desk.options.space.origin = "https://proxy.example".parse().expect("an origin");
    desk.planned(PEOPLE, HELLO).await;
    desk.send_one(id).await;
    for way in ["https://another.example", "http://127.0.0.1:8080"] {
        desk.options.space.origin = way.parse().expect("an origin");
        let refusal = desk.refused(PEOPLE, HELLO).await;
        assert_eq!(refusal, "the campaign spring of this Page was begun at https://graph.facebook.com", "{way}");
    }
    // Not even where it was planned before.
    desk.options.space.origin = "https://proxy.example".parse().expect("an origin");
    desk.refused(PEOPLE, HELLO).await;
    // Another campaign is, and that of another Page.
    desk.options.space.origin = "https://third.example".parse().expect("an origin");
    let autumn = CampaignSpec { name: "autumn".parse().expect("a name"), ..desk.spec(PEOPLE, HELLO) };
    plan(&desk.record, &autumn, &desk.options, &desk.clock).await.expect("a plan");
    desk.options.space.page = "2".parse().expect("a Page");
    desk.planned(PEOPLE, HELLO).await;
}

#[tokio::test]
async fn a_campaign_begun_at_one_sandbox_begins_anew_at_another() {
    let mut desk = Desk::new().await;
    for place in ["http://127.0.0.1:8080", "http://localhost:9090"] {
        desk.options.space.origin = place.parse().expect("an origin");
        let id = desk.planned(PEOPLE, HELLO).await.campaign.id;
        desk.send_one(id).await;
    }
}

#[tokio::test]
async fn testers_who_are_not_on_the_list_get_what_its_first_row_says() {
    let desk = Desk::new().await;
    let planned = desk.planned(PEOPLE, &format!("testers = [\"22\", \"77\", \"88\"]\n{HELLO}")).await;
    assert_eq!((planned.added, planned.campaign.recipients, planned.campaign.duplicates), (2, 5, 0));
    let dated = "recipient,name,last_interaction_at,timezone\n11,Ada,2026-11-01T00:00:00Z,Europe/Berlin\n";
    let spec = desk.spec(dated, &format!("testers = [\"77\"]\nquiet_hours = \"22:00-08:00\"\n{HELLO}"));
    let list = List::open(&spec, Platform::Messenger).await.expect("a list").begin().await.expect("people");
    let tester = &list.batch[1];
    assert_eq!(tester.recipient, "77".parse().expect("a PSID"));
    assert!(list.batch[0].timezone.is_some() && tester.timezone.is_none(), "where a tester is nobody knows");
    assert_eq!((&tester.variables, tester.last_interaction_at), (&list.batch[0].variables, None));
}

#[tokio::test]
async fn a_message_is_looked_at_as_each_person_would_get_it() {
    let desk = Desk::new().await;
    let long = format!("recipient,name\n11,{}\n22,Grace\n", "x".repeat(2_000));
    let planned = desk.planned(&long, HELLO).await;
    assert_eq!(planned.campaign.recipients, 1);
    let alone = planned.bad_rows[0].to_string();
    assert!(alone.starts_with("line 2: ") && !alone.contains("part"), "{alone}");
    let desk = Desk::new().await;
    let planned = desk.planned(&long, &format!("[[message]]\ntext = \"Spring\"\n{HELLO}")).await;
    let second = planned.bad_rows[0].to_string();
    assert_eq!(second.strip_prefix("line 2: part 2: "), alone.strip_prefix("line 2: "), "{second}");
}

#[tokio::test]
async fn time_zones_matter_where_there_are_quiet_hours() {
    let list = "recipient,name,timezone\n11,Ada,Mars/Olympus\n22,Grace,Europe/Berlin\n";
    let desk = Desk::new().await;
    assert_eq!(desk.planned(list, HELLO).await.campaign.malformed, 0);
    let desk = Desk::new().await;
    let quiet = format!("quiet_hours = \"22:00-08:00\"\n{HELLO}");
    assert_eq!(desk.planned(list, &quiet).await.campaign.malformed, 1);
    desk.plan(&list.replace("Berlin", "Paris"), &quiet).await.expect_err("another list");
}

#[tokio::test]
async fn columns_are_asked_for_once_each() {
    let desk = Desk::new().await;
    let spec = desk.spec(PEOPLE, "[[message]]\ntext = \"{name} {city} {name}\"\n[[message]]\ntext = \"{city}\"\n");
    let check = RowCheck::new(&spec.name, &spec.message, Platform::Messenger).expect("a check");
    assert_eq!(check.variables(), ["city", "name"]);
    assert!(desk.refused(PEOPLE, "[[message]]\ntext = \"{city}\"\n").await.contains("city"));
    // No nonce is longer than the one that messages are measured with.
    let key = DeliveryKey { seq: 100_000_000_000_000_000, part: 9 };
    let nonce = Nonce { campaign: spec.name, key, attempt: 999, random: u32::MAX };
    assert!(check.longest_nonce.len() >= nonce.to_string().len());
}
