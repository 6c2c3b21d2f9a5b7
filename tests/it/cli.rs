//! The command line itself: help, exit codes, configuration.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::pictures::png;
use crate::support::{Ran, World};

const COMMANDS: [&str; 24] = [
    "check",
    "sync",
    "refresh",
    "resolve",
    "send",
    "campaign",
    "ls",
    "migrate",
    "status",
    "show",
    "alias",
    "export",
    "import",
    "forget",
    "prune",
    "verify",
    "duplicates",
    "explain",
    "doctor",
    "sandbox",
    "serve",
    "demo",
    "completions",
    "man",
];

/// All commands and those below them, each with what its help says.
fn commands(world: &World) -> Vec<(String, String)> {
    let mut pending = vec![String::new()];
    let mut known = Vec::new();
    while let Some(command) = pending.pop() {
        let help = world.run(command.split_whitespace().chain(["--help"])).ended_with(0).stdout;
        let below = help.split_once("\nCommands:\n").map_or("", |(_, rest)| rest.split("\n\n").next().expect("a list"));
        let names = below.lines().filter_map(|line| line.strip_prefix("  ")?.split([' ', ',']).next());
        pending
            .extend(names.filter(|name| !name.is_empty() && *name != "help").map(|name| format!("{command} {name}")));
        known.push((command, help));
    }
    known
}

#[test]
fn every_command_explains_itself_with_an_example() {
    let world = World::new();
    let commands = commands(&world);
    let help = &commands[0].1;
    assert!(help.contains("Exit codes:"));
    for command in COMMANDS {
        assert!(commands.iter().any(|(known, _)| known.trim_start() == command), "{command} in {help}");
    }
    for (command, help) in &commands[1..] {
        if help.contains("\nCommands:\n") {
            continue;
        }
        let examples: Vec<_> = ours(help)
            .into_iter()
            .filter(|example| format!(" {example} ").starts_with(&format!("{command} ")))
            .collect();
        assert!(!examples.is_empty(), "an example of{command} in {help}");
    }
    for (_, help) in &commands {
        for example in ours(help) {
            is_understood(&world, &example);
        }
    }
    assert!(commands.len() > 32, "{}", commands.len());
}

#[test]
fn every_command_on_every_page_is_one() {
    let world = World::new();
    let mut count = 0;
    let docs = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).expect("a folder");
    let pages =
        docs.map(|entry| entry.expect("an entry").path()).filter(|path| path.extension().is_some_and(|it| it == "md"));
    for text in pages.map(|path| fs::read_to_string(path).expect("a page")).chain([readme()]) {
        for command in ours(&text) {
            is_understood(&world, &command);
            count += 1;
        }
    }
    assert!(count >= 45, "only {count} commands were found");
}

/// The commands of ours on a page, those that are set apart from its words, without the name of the program and what belongs
/// to others.
fn ours(page: &str) -> Vec<String> {
    let mut fenced = false;
    let joined = page.replace("\\\n", " ");
    let lines = joined.lines().filter_map(|line| {
        if let Some(language) = line.strip_prefix("```") {
            fenced = language == "sh";
            return None;
        }
        let set_apart = line.strip_prefix("  ").or_else(|| line.strip_prefix("$ ")).or(fenced.then_some(line))?;
        let command = set_apart.trim_start().strip_prefix("reattach ")?;
        let ends = [" #", " |", " >", " <", " &"];
        Some(ends.iter().fold(command, |command, end| command.split(end).next().unwrap_or_default()).to_owned())
    });
    lines.collect()
}

/// That the command, its flags and their values are known: up to its end, where help is asked for, all is read.
fn is_understood(world: &World, command: &str) {
    // The reader's own part.
    let words = words(&command.replace("PSID", "1254459154682919"));
    let run = world.run(words.iter().map(String::as_str).chain(["--help"]));
    assert_eq!(run.code, Some(0), "{command}: {}", run.stderr);
}

#[test]
fn the_readme_lists_the_exit_codes_of_the_help() {
    let world = World::new();
    let help = world.run(["--help"]).ended_with(0).stdout;
    let readme = readme();
    let table = help.split("Exit codes:\n").nth(1).expect("a table");
    for line in table.lines().filter(|line| !line.trim().is_empty()) {
        let (code, meaning) = line.trim().split_once("  ").expect("a code and its meaning");
        assert!(readme.contains(&format!("| {code} | {} |", meaning.trim())), "{line} in the README");
    }
}

#[test]
fn no_token_ends_with_4_and_a_hint() {
    let world = World::new();
    world.put("a.png", png(1));
    for command in [&["sync", "library"][..], &["resolve", "library/a.png"], &["send", "--to", "1", "--text", "x"]] {
        let run = world.command(command).env_remove("REATTACH_ACCESS_TOKEN").output().expect("runs");
        let run = Ran::new(run).ended_with(4);
        assert!(run.stderr.contains("REATTACH_ACCESS_TOKEN") && run.stderr.contains("hint:"), "{}", run.stderr);
    }
    let check = world.command(["check", "library"]).env_remove("REATTACH_ACCESS_TOKEN").output().expect("runs");
    Ran::new(check).ended_with(0);
}

#[test]
fn a_bad_token_ends_with_4_and_metas_words() {
    let world = World::new();
    world.put("a.png", png(1));
    let run =
        world.command(["sync", "library", "--json"]).env("REATTACH_ACCESS_TOKEN", "WRONG").output().expect("runs");
    let run = Ran::new(run).ended_with(4);
    assert_eq!(run.events_of("error")[0]["code"], 190);
}

#[test]
fn a_wrong_path_ends_with_2() {
    let world = World::new();
    for command in ["check", "sync"] {
        let run = world.json([command, "nowhere"]).ended_with(2);
        assert!(run.stderr.contains("nowhere"), "{}", run.stderr);
        assert_eq!(run.events_of("error")[0]["class"], "usage");
    }
    world.run(["check"]).ended_with(2);
    let told = world.json(["check"]).ended_with(2).events_of("error").remove(0)["message"].to_string();
    assert!(told.contains("not provided: <PATH>"), "JSON names what is missing as well: {told}");
    world.run(["frobnicate"]).ended_with(2);
    world.run(["check", "library", "--frobnicate"]).ended_with(2);
}

#[test]
fn a_wrong_value_ends_with_2() {
    let world = World::new();
    world.put("a.png", png(1));
    for arguments in [
        &["sync", "library", "--renew-within", "7"][..],
        &["sync", "library", "--max-bytes", "much"],
        &["sync", "library", "--concurrency", "0"],
        &["sync", "library", "--graph-url", "http://graph.facebook.com"],
        &["sync", "library", "--store", "mysql://somewhere"],
        &["sync", "library", "--platform", "telegram"],
        &["sync", "library", "--api-version", "latest"],
        &["sync", "library", "--page", "nobody"],
        &["check", "library", "--include", "{a"],
        &["sync", "library", "--to", "5"],
        &["resolve", "library/a.png", "--output", "ids.txt"],
        &["serve", "--listen", "localhost:7766"],
        &["export", "--output", "nowhere/ids.json"],
        &["sandbox", "--state", "library"],
        &["explain", "--frobnicate"],
    ] {
        world.run(arguments).ended_with(2);
    }
    assert_eq!(world.truth().counters.requests.upload, 0);
}

#[test]
fn a_wrong_address_is_shown_without_what_may_be_a_secret() {
    let world = World::new();
    for address in
        ["https://graph.example/?access_token=SECRET", "https://me:SECRET@graph.example", "http://SECRET@a.b"]
    {
        let config = world.library().parent().expect("home").join("reattach.toml");
        fs::write(&config, format!("graph_url = {address:?}\n")).expect("a file");
        let by_file = world.command(["ls", "--json"]).env_remove("REATTACH_GRAPH_URL").output();
        fs::remove_file(&config).expect("the file");
        let by_variable = world.command(["ls", "--json"]).env("REATTACH_GRAPH_URL", address).output();
        let by_flag = world.command(["ls", "--json", "--graph-url", address]).output();
        for run in [by_file, by_variable, by_flag] {
            let run = Ran::new(run.expect("runs")).ended_with(2);
            let told = format!("{}{}", run.stdout, run.stderr);
            assert!(told.contains("is not a Graph API origin") && !told.contains("SECRET"), "{told}");
        }
    }
}

#[test]
fn options_are_taken_behind_an_error_code_too() {
    let world = World::new();
    let told = world.run(["explain", "100/2018047", "--json", "--color", "never"]).ended_with(0);
    assert_eq!((&told.events()[0]["code"], &told.events()[0]["subcode"]), (&100.into(), &2_018_047.into()));
    assert_eq!(world.run(["explain", "-1", "--json"]).ended_with(0).events()[0]["code"], -1);
    assert_eq!(world.run(["explain", "-1/2018012", "--json"]).events()[0]["subcode"], 2_018_012);
}

#[test]
fn of_a_code_nobody_knows_it_is_said_what_becomes_of_the_message() {
    let run = World::new().run(["explain", "99999"]).ended_with(3);
    let words = "99999 is not in the catalogue; a message that gets it for an answer may have been sent, so it is";
    assert!(run.stderr.starts_with(words), "{}", run.stderr);
}

#[test]
fn a_record_is_carried_from_where_there_is_one_and_to_another_place() {
    let world = World::new();
    world.put("a.png", png(1));
    world.run(["migrate", "--from", "sled:nowhere", "--to", "sled:other"]).ended_with(2);
    let home = world.library().parent().expect("a home").to_owned();
    assert!(!home.join("nowhere").exists() && !home.join("other").exists());
    world.run(["sync", "library"]).ended_with(0);
    let own = format!("sled:{}", world.store().display());
    let by_file = format!("sqlite:{}", world.store().join("../store/record.db").display());
    for same in [&own, &by_file] {
        let told = world.run(["migrate", "--from", &own, "--to", same]).ended_with(2).stderr;
        assert!(told.contains("carried over to itself"), "{told}");
    }
}

#[test]
fn whoever_waits_for_standard_input_can_be_stopped() {
    let world = World::new();
    for arguments in [&["import", "-"][..], &["send", "--to", "1", "--message", "-"], &["resolve", "--aliases-in", "-"]]
    {
        let mut command = world.command(arguments);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().expect("the binary starts");
        // Nothing is ever written, and nothing closed, until it has ended.
        let writer = child.stdin.take();
        wait_for_signals(child.id());
        kill_process(Pid::from_child(&child), Signal::TERM).expect("a signal");
        Ran::new(child.wait_with_output().expect("ends")).ended_with(130);
        drop(writer);
    }
    assert_eq!(world.truth().message_count, 0);
}

/// Returns once the process listens for TERM.
fn wait_for_signals(process: u32) {
    const TERM: u64 = 1 << 14;
    let caught = || {
        let status = fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("a mask").trim().to_owned();
        u64::from_str_radix(&mask, 16).expect("a mask")
    };
    while caught() & TERM == 0 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn the_configuration_file_is_overruled_by_variables_and_those_by_flags() {
    let world = World::new();
    world.put("a.png", png(1));
    let elsewhere = World::new();
    let config = world.library().parent().expect("home").join("reattach.toml");
    let text = format!(
        "graph_url = {:?}\npage = \"shop\"\n[pages.shop]\naccess_token_env = \"SHOP\"\n",
        world.sandbox().url()
    );
    fs::write(&config, text).expect("a file");
    let run = |flags: &[&str], variable: Option<&str>| {
        let mut command = world.command(["resolve", "library/a.png"].iter().chain(flags));
        command.env_remove("REATTACH_GRAPH_URL").env_remove("REATTACH_ACCESS_TOKEN").env("SHOP", "SANDBOX-PAGE-1");
        if let Some(url) = variable {
            command.env("REATTACH_GRAPH_URL", url);
        }
        Ran::new(command.output().expect("runs")).ended_with(0);
    };
    run(&[], None);
    assert_eq!((world.uploads(), elsewhere.uploads()), (1, 0));
    run(&[], Some(elsewhere.sandbox().url()));
    assert_eq!((world.uploads(), elsewhere.uploads()), (1, 1));
    run(&["--graph-url", world.sandbox().url()], Some("http://127.0.0.1:1"));
    assert_eq!((world.uploads(), elsewhere.uploads()), (1, 1));
}

#[test]
fn an_empty_variable_is_one_that_is_not_set() {
    let world = World::new();
    world.put("a.png", png(1));
    let mut command = world.command(["check", "library"]);
    for variable in ["CONFIG", "PAGE", "STORE", "GRAPH_URL", "API_VERSION", "ACCESS_TOKEN", "APP_SECRET"] {
        command.env(format!("REATTACH_{variable}"), "");
    }
    Ran::new(command.output().expect("runs")).ended_with(0);
    let wrong = world.command(["check", "library"]).env("REATTACH_API_VERSION", "latest").output().expect("runs");
    assert!(Ran::new(wrong).ended_with(2).stderr.contains("REATTACH_API_VERSION"));
}

#[test]
fn a_mistake_in_the_configuration_is_shown_where_it_stands() {
    let world = World::new();
    world.put("a.png", png(1));
    let config = world.library().parent().expect("home").join("reattach.toml");
    fs::write(&config, "[pages.shop]\naccess_tokn_env = \"SHOP\"\n").expect("a file");
    let run = world.run(["check", "library"]).ended_with(2);
    assert!(run.stderr.contains("access_tokn_env") && run.stderr.contains("line 2"), "{}", run.stderr);
}

#[test]
fn a_configuration_found_by_chance_cannot_send_the_token_elsewhere() {
    let world = World::new();
    world.put("a.png", png(1));
    let config = world.library().parent().expect("home").join("reattach.toml");
    fs::write(&config, "graph_url = \"https://graph.example.com\"\n").expect("a file");
    let run = world.command(["sync", "library"]).env_remove("REATTACH_GRAPH_URL").output().expect("runs");
    let run = Ran::new(run).ended_with(2);
    assert!(run.stderr.contains("--config"), "{}", run.stderr);
}

#[test]
fn paths_in_the_configuration_are_meant_from_where_it_lies() {
    let world = World::new();
    let folder = world.library();
    fs::write(folder.join("other.toml"), "store = \"sled:mine\"\n").expect("a file");
    let run = world.command(["ls", "--config", "library/other.toml"]).env_remove("REATTACH_STORE").output();
    Ran::new(run.expect("runs")).ended_with(0);
    assert!(folder.join("mine/record.db").is_file());
}

#[test]
fn an_app_secret_that_is_configured_and_missing_ends_with_4() {
    let world = World::new();
    world.put("a.png", png(1));
    let config = world.library().parent().expect("home").join("reattach.toml");
    fs::write(&config, "[pages.shop]\napp_secret_env = \"NO_SUCH_SECRET\"\n").expect("a file");
    let run = world.run(["sync", "library"]).ended_with(4);
    assert!(run.stderr.contains("NO_SUCH_SECRET"), "{}", run.stderr);
    assert_eq!(world.truth().counters.requests.me, 0);
}

#[test]
fn what_cannot_be_written_out_is_no_success() {
    let world = World::new();
    world.put("a.png", png(1));
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let status = world.command(["resolve", "library/a.png"]).stdout(full).status().expect("runs");
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_token_for_another_page_than_configured_ends_with_4() {
    let world = World::new();
    world.put("a.png", png(1));
    let config = world.library().parent().expect("home").join("reattach.toml");
    fs::write(&config, "[pages.shop]\nid = \"42\"\n").expect("a file");
    let run = world.run(["sync", "library"]).ended_with(4);
    assert!(run.stderr.contains("42") && run.stderr.contains("Sandbox Bakery"), "{}", run.stderr);
    assert_eq!(world.uploads(), 0);
}

#[test]
fn a_credential_of_systemds_may_have_an_access_list() {
    let world = World::new();
    world.put("a.png", png(1));
    let credentials = world.library().parent().expect("home").join("credentials");
    fs::create_dir(&credentials).expect("a folder");
    fs::write(credentials.join("page-token"), "SANDBOX-PAGE-1\n").expect("a file");
    let settings = format!("[pages.shop]\naccess_token_file = {:?}\n", credentials.join("page-token"));
    fs::write(credentials.with_file_name("reattach.toml"), settings).expect("a file");
    let ends = |mode, folder: &Path| {
        fs::set_permissions(credentials.join("page-token"), fs::Permissions::from_mode(mode)).expect("a mode");
        let mut sync = world.command(["sync", "library"]);
        let run = sync.env_remove("REATTACH_ACCESS_TOKEN").env("CREDENTIALS_DIRECTORY", folder).output();
        run.expect("runs").status.code()
    };
    // As systemd shows them: the mask of the list stands where else the group's rights do.
    let codes = [0o440, 0o444, 0o460].map(|mode| ends(mode, &credentials));
    assert_eq!(codes, [Some(0), Some(4), Some(4)]);
    assert_eq!(ends(0o440, &world.library()), Some(4), "it is none of these");
    fs::remove_file(credentials.join("page-token")).expect("the one place it may be in");
}

#[test]
fn what_is_packaged_has_all_it_names() {
    let packaging = |name: &str| fs::read_to_string(Path::new("packaging").join(name)).expect("a file");
    let unit = packaging("reattach.service");
    let (steps, settings) = unit.split_once("[Unit]").expect("a unit");
    let is_path = |word: &&str| word.starts_with("/etc/");
    let named: Vec<_> = settings.split([' ', '=', ':', '\n']).filter(is_path).collect();
    assert_eq!(named, ["/etc/reattach/page-token", "/etc/reattach/reattach.toml"]);
    assert!(steps.contains("page-token /etc/reattach/page-token") && steps.contains("reattach.toml /etc/reattach/"));
    // What the image is built from is a package.
    let folder = tempfile::tempdir().expect("a folder");
    let copies = packaging("Containerfile");
    for copied in copies.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--")) {
        let (from, _) = copied.rsplit_once(' ').expect("where to");
        let copy = Command::new("cp").arg("-r").args(from.split(' ')).arg(folder.path()).status().expect("runs");
        assert!(copy.success(), "{copied}");
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(folder.path());
    let told = cargo.output().expect("runs");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
}

#[test]
fn a_token_file_that_others_may_read_is_refused() {
    let world = World::new();
    world.put("a.png", png(1));
    let home = world.library().parent().expect("home").to_owned();
    fs::write(home.join("reattach.toml"), "[pages.shop]\naccess_token_file = \"token\"\n").expect("a file");
    fs::write(home.join("token"), "SANDBOX-PAGE-1\n").expect("a file");
    let mode = |mode| fs::set_permissions(home.join("token"), fs::Permissions::from_mode(mode)).expect("a mode");
    mode(0o644);
    let run = world.command(["sync", "library"]).env_remove("REATTACH_ACCESS_TOKEN").output().expect("runs");
    let run = Ran::new(run).ended_with(4);
    assert!(run.stderr.contains("chmod 600"), "{}", run.stderr);
    mode(0o600);
    world.run(["sync", "library"]).ended_with(0);
    fs::remove_file(home.join("token")).expect("the one place it may be in");
}

#[test]
fn the_token_is_asked_about_once() {
    let world = World::new();
    world.put("a.png", png(1));
    for _ in 0..3 {
        world.run(["resolve", "library/a.png"]).ended_with(0);
    }
    assert_eq!(world.truth().counters.requests.me, 1);
}

#[test]
fn stores_are_for_their_owner_alone() {
    let world = World::new();
    world.put("a.png", png(1));
    world.run(["sync", "library"]).ended_with(0);
    let mut pending = vec![world.store()];
    let mut looked_at = 0;
    while let Some(path) = pending.pop() {
        let metadata = fs::symlink_metadata(&path).expect("metadata");
        let mode = metadata.permissions().mode() & 0o777;
        if metadata.is_dir() {
            assert_eq!(mode, 0o700, "{}", path.display());
            pending.extend(fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()));
        } else {
            assert_eq!(mode, 0o600, "{}", path.display());
        }
        looked_at += 1;
    }
    assert!(looked_at > 4, "only {looked_at} files");
}

#[test]
fn with_an_app_secret_calls_carry_a_proof_the_sandbox_accepts() {
    let world = World::new();
    world.put("a.png", png(1));
    world.sandbox().require_proof(true);
    let bare = world.json(["sync", "library"]);
    assert_ne!(bare.code, Some(0));
    let with = |secret: &str| {
        let mut command = world.command(["send", "--to", "1", "--file", "library/a.png"]);
        Ran::new(command.env("REATTACH_APP_SECRET", secret).output().expect("runs"))
    };
    with("sandbox-secret").ended_with(0);
    with("another-secret").ended_with(4);
}

#[test]
fn the_demo_tells_its_story_twice() {
    let world = World::new();
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets-example");
    let library = library.to_str().expect("text");
    for secret in [None, Some("a secret of another app")] {
        let mut command = world.command(["demo", library, "--json"]);
        command.envs(secret.map(|secret| ("REATTACH_APP_SECRET", secret)));
        let run = Ran::new(command.output().expect("runs")).ended_with(0);
        let demo = &run.events_of("demo")[0];
        assert_eq!((&demo["uploads"], &demo["uploads_of_second_sync"]), (&json!(10), &json!(0)));
        assert_eq!((&demo["sends_by_id"], &demo["sends_by_url"]), (&demo["messages"], &json!(0)));
        let text = world.run(["demo", library]).ended_with(0).stdout;
        assert!(text.contains("12 files, 0 uploaded, 11 reused"), "{text}");
    }
}

#[test]
fn completions_and_the_manual_are_made_for_every_command() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = world.run(["completions", shell]).ended_with(0).stdout;
        assert!(COMMANDS.iter().all(|command| script.contains(command)));
    }
    let manual = world.run(["man"]).ended_with(0).stdout;
    assert!(COMMANDS.iter().all(|command| manual.contains(command)));
}

#[test]
fn the_commands_of_the_readme_work_as_written() {
    let world = World::new();
    let banners = world.library().parent().expect("home").join("banners");
    fs::create_dir(&banners).expect("a folder");
    fs::write(banners.join("hero.png"), png(1)).expect("a file");
    let readme = readme();
    let messages = banners.with_file_name("messages");
    fs::create_dir(&messages).expect("a folder");
    fs::write(messages.join("card.json"), block(&readme, "json")).expect("a file");
    fs::write(messages.with_file_name("people.csv"), "recipient,first_name\n11,Ada\n22,Grace\n").expect("a file");
    let run = run_as_written(&world, &readme);
    assert!(run >= 24, "only {run} commands were found");
    // One file, one web address; the file, a text, its alias, the card, an action, the address, and two people's.
    assert_eq!((world.uploads(), world.truth().message_count), (2, 8));
}

#[test]
fn the_commands_of_the_other_pages_work_as_written() {
    let world = World::new();
    let home = world.library().parent().expect("home").to_owned();
    fs::create_dir(home.join("banners")).expect("a folder");
    fs::write(home.join("banners/hero.png"), png(1)).expect("a file");
    fs::write(home.join("people.csv"), "recipient,first_name\n11,Ada\n22,Grace\n").expect("a file");
    let campaigns = page("docs/CAMPAIGNS.md");
    let [whole, ramp, variants] = blocks(&campaigns, "toml")[..] else { panic!("three campaigns") };
    fs::write(home.join("spring.toml"), whole).expect("a file");
    assert!(run_as_written(&world, &campaigns) >= 6);
    assert_eq!((world.uploads(), world.truth().message_count), (1, 4), "two people, two parts");
    for (name, rest) in [("ramp", format!("{ramp}[[message]]\ntext = \"Hi\"\n")), ("variants", variants.to_owned())] {
        for picture in ["dog.png", "cat.png"] {
            fs::write(home.join(picture), png(1)).expect("a file");
        }
        let file = format!("name = \"{name}\"\nrecipients = \"people.csv\"\n{rest}");
        fs::write(home.join("part.toml"), file).expect("a file");
        world.run(["campaign", "plan", "part.toml"]).ended_with(0);
    }
    assert!(run_as_written(&world, &page("docs/OPERATING.md")) >= 4);
}

/// Runs every command of ours on the page, and gives their number.
fn run_as_written(world: &World, page: &str) -> usize {
    let commands = page.lines().filter_map(|line| {
        let command = line.strip_prefix("reattach ")?;
        // What comes after belongs to other programs, or to the reader.
        let command = command.split(['#', '|']).next()?.replace("PSID", "1254459154682919");
        (!command.starts_with("sandbox")).then_some(command)
    });
    let mut run = 0;
    for command in commands {
        let words = words(&command);
        world.run(words).ended_with(0);
        run += 1;
    }
    run
}

/// The words of a command line, those between quotes as one.
fn words(command: &str) -> Vec<String> {
    let parts = command.split(['\'', '"']).enumerate();
    let words = parts.flat_map(|(place, part)| {
        // Every second part stood between quotes.
        if place % 2 == 1 { vec![part] } else { part.split_whitespace().collect() }
    });
    words.map(str::to_owned).collect()
}

#[test]
fn the_configuration_of_the_readme_works_as_written() {
    let world = World::new();
    let home = world.library().parent().expect("home").to_owned();
    fs::write(home.join("reattach.toml"), block(&readme(), "toml")).expect("a file");
    let run = world.command(["doctor", "--json"]).env("SHOP_TOKEN", "SANDBOX-PAGE-1").output().expect("runs");
    let run = Ran::new(run).ended_with(0);
    let token = run.events_of("doctor").into_iter().find(|check| check["check"] == "token").expect("a token");
    assert!(token["message"].as_str().is_some_and(|message| message.contains("106000000000001")), "{token}");
}

fn readme() -> String {
    page("README.md")
}

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect(name)
}

/// The only block of this language.
fn block<'a>(page: &'a str, language: &str) -> &'a str {
    let [block] = blocks(page, language)[..] else { panic!("one block of {language}") };
    block
}

/// All blocks of this language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    page.split(&fence).skip(1).map(|rest| rest.split("```").next().expect("a text")).collect()
}
