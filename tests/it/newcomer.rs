//! What is said of the twenty mistakes people make first: what happened, why, what to do, and the exit code of the README.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use reattach::sandbox::USER_TOKEN;
use serde_json::json;

use crate::support::pictures::png;
use crate::support::{Ran, World, within};

/// A world with one picture in its library.
fn shop() -> World {
    let world = World::new();
    world.put("hero.png", png(1));
    world
}

/// The list of recipients the mistakes are about.
fn list(world: &World, text: &str) {
    fs::write(world.library().with_file_name("people.csv"), text).expect("a file");
}

/// What a run said, with whatever is another in every run named.
fn told(world: &World, run: &Ran) -> String {
    let home = world.library().parent().expect("home").display().to_string();
    let text = format!("exit {}\n{}{}", run.code.expect("an exit code"), run.stdout, run.stderr);
    let text = text.replace(&home, "HOME").replace(&world.url, "SANDBOX");
    let text = varying(&text, "trace ", |letter| letter.is_ascii_alphanumeric() || "_-".contains(letter), "TRACE");
    let text = varying(&text, "  (", |letter| letter.is_ascii_digit() || letter == '.', "TIME");
    varying(&text, "process ", |letter| letter.is_ascii_digit(), "PID")
}

/// The text with `name` in the place of whatever of these letters stands behind each `mark`.
fn varying(text: &str, mark: &str, is_part: impl Fn(char) -> bool, name: &str) -> String {
    let mut parts = text.split(mark);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |told, part| {
        let rest = part.trim_start_matches(&is_part);
        told + mark + if rest.len() < part.len() { name } else { "" } + rest
    })
}

fn run_with(world: &World, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
    Ran::new(world.command(arguments).envs(variables.iter().copied()).output().expect("it runs"))
}

/// Lets Meta refuse what is asked of it once.
fn refuse(world: &World, on: &str, code: u32, subcode: u32, message: &str) {
    let refusal = json!({"code": code, "error_subcode": subcode, "message": message, "type": "OAuthException"});
    world.sandbox().set_faults(json!({"on": on, "fault": {"graph": refusal}})).expect("a fault");
}

#[test]
fn no_token() {
    let world = shop();
    let run = run_with(&world, &[("REATTACH_ACCESS_TOKEN", "")], &["sync", "library"]);
    insta::assert_snapshot!(told(&world, &run), @r#"
    exit 4
    error: failed to find the Page's token or secret: REATTACH_ACCESS_TOKEN is not set
      hint: set REATTACH_ACCESS_TOKEN to a Page access token with the pages_messaging permission, or name its place in reattach.toml (access_token_env, access_token_file); `reattach sandbox` needs no real one
    "#);
}

#[test]
fn a_token_that_is_none() {
    let world = shop();
    let run = run_with(&world, &[("REATTACH_ACCESS_TOKEN", "EAAGtypedwrong")], &["sync", "library"]);
    insta::assert_snapshot!(told(&world, &run), @r#"
    exit 4
    error: Meta refused the look-up: Invalid OAuth access token - Cannot parse access token (code 190, trace TRACE)
      hint: Make a new Page access token, set it, and start again what runs with this one: nothing goes through with it.
    "#);
}

#[test]
fn a_token_that_has_expired() {
    let world = shop();
    refuse(&world, "me", 190, 463, "Error validating access token: Session has expired");
    insta::assert_snapshot!(told(&world, &world.run(["sync", "library"])), @r#"
    exit 4
    error: Meta refused the look-up: Error validating access token: Session has expired (code 190, subcode 463, trace TRACE)
      hint: Make a new Page access token, set it, and start again what runs with this one: nothing goes through with it.
    "#);
}

#[test]
fn a_user_token_in_place_of_a_pages() {
    let world = shop();
    let run = run_with(&world, &[("REATTACH_ACCESS_TOKEN", USER_TOKEN)], &["sync", "library"]);
    insta::assert_snapshot!(told(&world, &run), @r#"
    exit 4
    error: the token belongs to the person Sandbox Person (122000000000001), and not to a Page
      hint: ask Meta for the Page's own token: GET /me/accounts with this one lists them, as does the app's dashboard
    "#);
}

#[test]
fn the_token_of_another_page() {
    let world = shop();
    world.configure("[pages.shop]\nid = \"106000000000002\"\n");
    insta::assert_snapshot!(told(&world, &world.run(["sync", "library"])), @r#"
    exit 4
    error: the token is for the Page Sandbox Bakery (106000000000001), not for 106000000000002
      hint: use a Page access token of 106000000000002, or choose the right Page with --page
    "#);
}

#[test]
fn a_page_nobody_configured() {
    let world = shop();
    world.configure("[pages.bakery]\naccess_token_env = \"BAKERY\"\n");
    insta::assert_snapshot!(told(&world, &world.run(["sync", "library", "--page", "backery"])), @r#"
    exit 2
    error: failed to find the Page "backery" in the configuration; it has bakery
      hint: Pages are configured as [pages.NAME] in reattach.toml
    "#);
}

#[test]
fn a_path_that_is_misspelled() {
    let world = shop();
    insta::assert_snapshot!(told(&world, &world.run(["sync", "libary"])), @r#"
    exit 2
    error: failed to look at libary
      caused by: No such file or directory (os error 2)
      hint: check the spelling: paths are meant from the current folder
    "#);
    insta::assert_snapshot!(told(&world, &world.run(["send", "--to", "11", "--file", "hero.png"])), @r#"
    exit 2
    error: there is no file hero.png
      hint: check the path; it is read from the current folder
    "#);
}

#[test]
fn a_folder_that_may_not_be_read() {
    let world = shop();
    let locked = world.put("drafts/a.png", png(2)).parent().expect("a folder").to_owned();
    rustix::fs::chmod(&locked, rustix::fs::Mode::empty()).expect("a mode");
    // To the superuser nothing is locked, unless it gives that up.
    let is_root = rustix::process::geteuid().is_root();
    let outer = if is_root { &["setpriv", "--bounding-set=-dac_override,-dac_read_search"][..] } else { &["env"] };
    let run = Ran::new(within(outer, &world.command(["check", "library"])).output().expect("it runs"));
    rustix::fs::chmod(&locked, rustix::fs::Mode::RWXU).expect("a mode");
    insta::assert_snapshot!(told(&world, &run), @r#"
    exit 3
    ✗ rejected  library/drafts
        unreadable: it cannot be read: Permission denied (os error 13)
        → give the user who runs reattach the right to read it
    2 files, 1 different, 185 B, 1 ok, 1 rejected  (TIME s)
    "#);
}

#[test]
fn a_store_somebody_else_keeps_locked() {
    let world = shop();
    let mut watch = world.start(["sync", "library", "--watch", "--json"]);
    let mut lines = BufReader::new(watch.stdout.take().expect("stdout")).lines();
    lines
        .find(|line| line.as_ref().is_ok_and(|line| line.contains("\"summary\"")))
        .expect("its first sync")
        .expect("text");
    let second = world.run(["sync", "library", "--watch"]);
    watch.kill().and_then(|()| watch.wait()).expect("it ends");
    insta::assert_snapshot!(told(&world, &second), @r#"
    exit 6
    error: library is being watched already, by process PID
      hint: let that one do it, or end it first
    "#);
    let database = rusqlite::Connection::open(world.store().join("record.db")).expect("a record");
    database.execute_batch("BEGIN EXCLUSIVE").expect("nobody else has it");
    world.put("new.png", png(2));
    insta::assert_snapshot!(told(&world, &world.run(["sync", "library"])), @r#"
    exit 6
    ✗ failed    library/new.png  185 B
        failed to use the record HOME/store/record.db: another program keeps it locked: database is locked: Error code 5: database is locked
        → wait for the other program to finish, and try again
    2 files, 0 uploaded, 1 reused, 1 failed, 185 B not sent  (TIME s)
    error: failed to use the record HOME/store/record.db: another program keeps it locked
      caused by: database is locked
      caused by: Error code 5: database is locked
      hint: wait for the other program to finish, and try again
    "#);
}

#[test]
fn a_store_that_cannot_be_made() {
    let world = shop();
    let run = run_with(&world, &[("REATTACH_STORE", "sled:/proc/store")], &["sync", "library"]);
    insta::assert_snapshot!(told(&world, &run), @r#"
    exit 6
    error: failed to open the record /proc/store/record.db
      caused by: No such file or directory (os error 2)
      hint: check that the folder exists, is yours to write and has room, or choose another store
    "#);
}

/// In a file system of its own, which is gone with the process.
const ON_A_FULL_DISK: &str = "mkdir store && mount -t tmpfs -o size=64k tmpfs store || exit 99
    dd if=/dev/zero of=store/filler bs=1k 2> /dev/null
    exec \"$@\"";

#[test]
fn a_disk_that_is_full() {
    let world = shop();
    let outer = ["unshare", "--map-root-user", "--mount", "sh", "-c", ON_A_FULL_DISK, "sh"];
    let output = within(&outer, &world.command(["sync", "library"])).output().expect("unshare");
    if !output.stderr.starts_with(b"error") {
        let _ = writeln!(std::io::stderr(), "NOT RUN: a_disk_that_is_full needs `unshare --map-root-user --mount`");
        return;
    }
    insta::assert_snapshot!(told(&world, &Ran::new(output)), @r#"
    exit 6
    error: failed to write to the record HOME/store/record.db: there is no room on the disk
      caused by: database or disk is full
      caused by: Error code 13: database or disk is full
      hint: make room on the disk, and try again: what did not fit is not on record
    "#);
}

#[test]
fn no_network() {
    let world = shop();
    let run =
        run_with(&world, &[("REATTACH_GRAPH_URL", "http://127.0.0.1:1")], &["sync", "library", "--max-wait", "1s"]);
    insta::assert_snapshot!(told(&world, &run), @r#"
    exit 5
    error: the look-up did not reach Meta: nothing was sent
      caused by: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)
      hint: Check the network, the proxy settings and the Graph origin.
    "#);
}

#[test]
fn a_proxy_that_is_not_there() {
    let world = shop();
    let variables = [("REATTACH_GRAPH_URL", "https://graph.example"), ("HTTPS_PROXY", "http://127.0.0.1:1")];
    let run = run_with(&world, &variables, &["sync", "library", "--max-wait", "1s"]);
    insta::assert_snapshot!(told(&world, &run), @r#"
    exit 5
    error: the look-up did not reach Meta: nothing was sent
      caused by: error sending request: client error (Connect): tunnel error: failed to create underlying connection: tcp connect error: Connection refused (os error 111)
      hint: Check the network, the proxy settings and the Graph origin.
    "#);
}

#[test]
fn a_clock_that_is_wrong() {
    let world = shop();
    world.sandbox().advance_clock(Duration::from_hours(48));
    let run = world.run(["sync", "library"]);
    let text = told(&world, &run);
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("exit") || line.contains("clock")).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    exit 0
    this machine's clock is 2 d behind Meta's: going by Meta's
    "#);
}

#[test]
fn files_meta_does_not_take() {
    let world = shop();
    fs::File::create(world.library().join("film.mp4")).and_then(|file| file.set_len(30_000_000)).expect("a file");
    world.put("logo.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>");
    world.put("page.jpg", "<html><body>Not found</body></html>");
    insta::assert_snapshot!(told(&world, &world.run(["check", "library"])), @r#"
    exit 3
    ✗ rejected  library/film.mp4  30.0 MB
        too_large: it has 30,000,000 bytes; Meta takes at most 26,214,400 (25 MB)
        → compress it, shorten it, or send a link instead
    ✗ rejected  library/logo.svg  41 B
        unsupported_format: it is image/svg+xml; images must be JPEG, PNG or GIF
        → convert it to JPEG or PNG
    ✗ rejected  library/page.jpg  35 B
        unsupported_format: its name says image/jpeg, but it is text/html
        → put the real file in its place; a failed download often leaves a web page under the file's name
    4 files, 3 different, 30.0 MB, 1 ok, 3 rejected  (TIME s)
    "#);
}

#[test]
fn a_configuration_with_a_mistake() {
    let world = shop();
    let told_of = |text: &str| {
        world.configure(text);
        told(&world, &world.run(["sync", "library"]))
    };
    insta::assert_snapshot!(told_of("[pages.shop\nid = \"1\"\n"), @r#"
    exit 2
    error: failed to understand the configuration file reattach.toml, line 1: unclosed table, expected `]`
      hint: the README shows one that works, under Configuration
    "#);
    insta::assert_snapshot!(told_of("[pages.shop]\naccess_tokn_env = \"SHOP\"\n"), @r#"
    exit 2
    error: failed to understand the configuration file reattach.toml, line 2: `access_tokn_env` is unknown: use one of `id`, `access_token_env`, `access_token_file`, `app_secret_env`, `app_secret_file`, `auth`, `limits`
      hint: the README shows one that works, under Configuration
    "#);
    insta::assert_snapshot!(told_of("[pages.shop]\naccess_token = \"EAAGdonotwritemehere\"\n"), @r#"
    exit 2
    error: failed to understand the configuration file reattach.toml, line 2: `access_token` is unknown: use one of `id`, `access_token_env`, `access_token_file`, `app_secret_env`, `app_secret_file`, `auth`, `limits`
      hint: a secret does not stand in the configuration: access_token_env or app_secret_env names the variable that holds it, access_token_file or app_secret_file the file
    "#);
}

#[test]
fn a_flag_or_command_that_does_not_exist() {
    let world = shop();
    insta::assert_snapshot!(told(&world, &world.run(["sync", "library", "--dryrun"])), @r#"
    exit 2
    error: unexpected argument '--dryrun' found

      tip: a similar argument exists: '--dry-run'

    Usage: reattach sync --dry-run <PATH>...

    For more information, try '--help'.
    "#);
    insta::assert_snapshot!(told(&world, &world.run(["snyc", "library"])), @r#"
    exit 2
    error: unrecognized subcommand 'snyc'

      tip: a similar subcommand exists: 'sync'

    Usage: reattach [OPTIONS] <COMMAND>

    For more information, try '--help'.
    "#);
}

#[test]
fn a_recipient_who_is_none() {
    let world = shop();
    insta::assert_snapshot!(told(&world, &world.run(["send", "--to", "ada@example.com", "--text", "Hi"])), @r#"
    exit 2
    error: invalid value 'ada@example.com' for '--to <RECIPIENT>': "ada@example.com" is not a recipient (a PSID of digits, or user_ref:, comment:, post:, phone:+, player:, otn:, notification: or login: with a value)

    For more information, try '--help'.
    "#);
}

#[test]
fn a_list_that_names_nobody() {
    let world = shop();
    let told_of = |text: &str| {
        list(&world, text);
        told(&world, &world.run(["campaign", "run", "--name", "spring", "--to", "people.csv", "--text", "Hi", "--yes"]))
    };
    insta::assert_snapshot!(told_of(""), @r#"
    exit 2
    error: people.csv has no column "recipient"; it has none
      hint: the first row names the columns; one of them is called recipient
    "#);
    insta::assert_snapshot!(told_of("recipient,name\n"), @r#"
    exit 2
    error: people.csv names nobody who can be written to
      hint: put a row for each person below the one that names the columns, with a PSID under recipient
    "#);
    insta::assert_snapshot!(told_of("name,psid\nAda,11\n"), @r#"
    exit 2
    error: people.csv has no column "recipient"; it has name, psid
      hint: the first row names the columns; one of them is called recipient
    "#);
    insta::assert_snapshot!(told_of("recipient,name\nada,Ada\n"), @r#"
    exit 2
    error: people.csv names nobody who can be written to: line 2: "ada" is not a recipient (a PSID of digits, or user_ref:, comment:, post:, phone:+, player:, otn:, notification: or login: with a value)
      hint: put a row for each person below the one that names the columns, with a PSID under recipient
    "#);
    let nowhere = ["campaign", "run", "--name", "spring", "--to", "poeple.csv", "--text", "Hi", "--yes"];
    insta::assert_snapshot!(told(&world, &world.run(nowhere)), @r#"
    exit 2
    error: poeple.csv cannot be read
      caused by: No such file or directory (os error 2)
      hint: check its path and permissions; a list is looked for beside the campaign's file
    "#);
}

#[test]
fn a_column_that_is_misspelled() {
    let world = shop();
    list(&world, "recipient,first_name\n11,Ada\n");
    let run = ["campaign", "run", "--name", "spring", "--to", "people.csv", "--text", "Hi {firstname}", "--yes"];
    insta::assert_snapshot!(told(&world, &world.run(run)), @r#"
    exit 2
    error: people.csv has no column "firstname"; it has recipient, first_name
      hint: what stands between { } in a message is a column, spelled as in the first row; {{ and }} are braces
    "#);
}

#[test]
fn a_campaign_of_a_name_that_is_taken() {
    let world = shop();
    list(&world, "recipient,name\n11,Ada\n");
    let run = |text| world.run(["campaign", "run", "--name", "spring", "--to", "people.csv", "--text", text, "--yes"]);
    run("Hi").ended_with(0);
    insta::assert_snapshot!(told(&world, &run("Hello")), @r#"
    exit 2
    error: the campaign spring was planned with another message
      hint: say --replan: what was sent stays sent, and the rest goes by the new plan; under another name it is another campaign, and goes to everybody on the list, those who have it too
    "#);
}

#[test]
fn a_campaign_nobody_can_say_yes_to() {
    let world = shop();
    list(&world, "recipient,name\n11,Ada\n");
    let run = world.run(["campaign", "run", "--name", "spring", "--to", "people.csv", "--text", "Hi"]);
    insta::assert_snapshot!(told(&world, &run), @r#"
    exit 2
    spring: planned, 1 recipient
    error: This sends messages. There is no terminal to ask on
      hint: say --yes to go on without a question
    "#);
    let status = world.json(["campaign", "status", "spring"]).ended_with(0);
    assert_eq!(status.events_of("campaign")[0]["state"], "planned");
}

#[test]
fn a_window_that_is_closed() {
    let world = shop();
    refuse(&world, "send", 10, 2_018_278, "(#10) This message is sent outside of allowed window.");
    insta::assert_snapshot!(told(&world, &world.run(["send", "--to", "11", "--text", "Hi"])), @r#"
    exit 3
    error: Meta refused the send: (#10) This message is sent outside of allowed window. (code 10, subcode 2018278, trace TRACE)
      hint: Leave this recipient until they write again.
    "#);
}

#[test]
fn a_tag_meta_has_ended() {
    let world = shop();
    let send = ["send", "--to", "11", "--text", "Hi", "--messaging-type", "MESSAGE_TAG", "--tag", "ACCOUNT_UPDATE"];
    insta::assert_snapshot!(told(&world, &world.run(send)), @r#"
    exit 2
    error: the request breaks a rule of Meta's
      caused by: Meta ended tag ACCOUNT_UPDATE on 2026-04-27
      hint: send a utility template instead: messaging type UTILITY with message.template
    "#);
}

#[test]
fn a_message_that_is_too_long() {
    let world = shop();
    insta::assert_snapshot!(told(&world, &world.run(["send", "--to", "11", "--text", &"x".repeat(2_100)])), @r#"
    exit 2
    error: the request breaks a rule of Meta's
      caused by: message[text] has 2100 characters; Meta takes 1999 at most
      hint: shorten it, or send it in several messages
    "#);
}

#[test]
fn a_name_nobody_gave() {
    let world = shop();
    insta::assert_snapshot!(told(&world, &world.run(["resolve", "@hero"])), @r#"
    exit 3
    ✗ failed    @hero
        there is no alias @hero
        → `reattach alias` lists those there are; a file whose name begins with @ is written ./@name
    "#);
    insta::assert_snapshot!(told(&world, &world.run(["campaign", "status", "spring"])), @r#"
    exit 2
    error: there is no campaign spring
      hint: `reattach campaign list` shows those there are
    "#);
}
